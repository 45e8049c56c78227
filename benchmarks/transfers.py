"""Files to and from an instance beside OpenSSH's sftp and scp, and an alias beside `exec`."""

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.launches import LOGIN, ssh_flags
from benchmarks.measure import run_seconds, take_turns
from benchmarks.place import CLIENT, Place
from benchmarks.report import Goal, Row
from benchmarks.site import Site, site
from tools import cloudimage
from tools.imagetree import NOBLE
from tools.sandbox import MULTIPASS

LARGE, SMALL = 1 << 30, 1000  # bytes of a file
BLOCK = 1 << 20
RATE, MANY = Goal(0.9, at_most=False), Goal(2, at_most=False)
ALIAS = Goal(1.05)


def rows(place: Place) -> Iterator[Row]:
    for program in ("qemu-system-x86_64", "sftp", "scp"):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is missing")
    with site() as target:
        target.publish(NOBLE, cloudimage.kept())
        target.command("launch", "noble", "--name", "bench", "--memory", "256M", "--disk", "4G")
        bench = Transfers(target)
        yield from bench.large_rows(place.scaled(LARGE, LARGE // 16))
        yield bench.many_row(place.scaled(10_000, 1000))
        yield bench.alias_row(place.scaled(15, 5))
        target.remove("bench")


class Transfers:
    """Measures transfers to and from the instance `bench`."""

    def __init__(self, target: Site) -> None:
        self.target = target
        self.env = target.daemon.env(CLIENT)
        self.place = target.sandbox.root / "transfers"
        self.place.mkdir()
        self.flags = ssh_flags(target.sandbox)

    def large_rows(self, size: int) -> Iterator[Row]:
        file = self.place / "large"
        with file.open("wb") as writing:
            for _ in range(size // BLOCK):
                writing.write(os.urandom(BLOCK))
        back = self.place / "back"
        ways = {
            "to": (f"put {file} large", [str(file), "bench:large"]),
            "from": (f"get large {back}", ["bench:large", str(back)]),
        }
        for way, (batch, words) in ways.items():
            theirs, ours = take_turns(1, partial(self.sftp, batch), partial(self.ours, words))
            figures = f"{size / ours / 1e6:.1f} MB/s, sftp {size / theirs / 1e6:.1f} MB/s"
            what = f"`transfer` of {size >> 20} MiB {way} an instance"
            yield Row(what, "OpenSSH's sftp", theirs / ours, RATE, figures)
        self.inside("rm large")
        file.unlink()
        back.unlink()

    def many_row(self, count: int) -> Row:
        source = self.place / "many"
        source.mkdir()
        for number in range(count):
            (source / f"file{number}").write_bytes(os.urandom(SMALL))
        scp = ["/usr/bin/scp", "-q", "-r", *self.flags, str(source), f"{LOGIN}:many"]
        theirs, ours = take_turns(
            1,
            self.afresh(lambda: run_seconds(scp, self.env)),
            self.afresh(lambda: self.ours(["-r", str(source), "bench:many"])),
        )
        self.inside("rm -r many")
        shutil.rmtree(source)
        figures = f"{ours:.2f} s, scp {theirs:.2f} s"
        return Row(f"`transfer -r` of {count} files", "scp -r", theirs / ours, MANY, figures)

    def alias_row(self, rounds: int) -> Row:
        self.target.command("alias", "bench:true", "bench-alias")
        commands = (["exec", "bench", "--", "true"], ["bench-alias"])
        sides = [partial(self.multipass, words) for words in commands]
        plain, alias = take_turns(rounds, *sides)
        figures = f"{alias * 1e3:.0f} ms, {plain * 1e3:.0f} ms"
        return Row("`multipass ALIAS`", "`multipass exec`", alias / plain, ALIAS, figures)

    def ours(self, words: list[str]) -> float:
        return self.multipass(["transfer", *words])

    def multipass(self, words: list[str]) -> float:
        return run_seconds([str(MULTIPASS), *words], self.env)

    def sftp(self, batch: str) -> float:
        commands = self.place / "batch"
        commands.write_text(f"{batch}\n")
        return run_seconds(
            ["/usr/bin/sftp", "-q", *self.flags, "-b", str(commands), LOGIN], self.env
        )

    def afresh(self, side: Callable[[], float]) -> Callable[[], float]:
        def run() -> float:
            self.inside("rm -rf many")
            return side()

        return run

    def inside(self, command: str) -> None:
        self.target.command("exec", "bench", "--", "sh", "-c", command)
