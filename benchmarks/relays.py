"""`exec` and `transfer` through the service, over TCP on loopback, beside the direct ones; and how
soon a relayed shell has ended once its client is revoked."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial

from benchmarks.measure import run_seconds, take_turns
from benchmarks.place import CLIENT, Place
from benchmarks.report import Goal, Row
from benchmarks.site import Site, site
from tests import ports
from tools import cloudimage
from tools.imagetree import NOBLE
from tools.sandbox import MULTIPASS

LARGE = 1 << 30  # bytes of a file
BLOCK = 1 << 20
EXEC, RATE = Goal(1.5), Goal(0.6, at_most=False)
REVOKED = Goal(1000, unit=" ms")
OTHER = "bob"
LINE = re.compile(r"multipass authenticate (\S+)")
SHELL = ["exec", "bench", "--", "sh", "-c", "echo up; exec sleep 3600"]


def rows(place: Place) -> Iterator[Row]:
    if shutil.which("qemu-system-x86_64") is None:
        raise RuntimeError("qemu-system-x86_64 is missing")
    with ports.reserved() as port:
        address = f"{ports.LOOPBACK}:{port}"
        with site(addresses=[address]) as target:
            target.publish(NOBLE, cloudimage.kept())
            target.command("launch", "noble", "--name", "bench", "--memory", "256M", "--disk", "4G")
            bench = Relays(target, address)
            yield bench.exec_row(place.scaled(15, 5))
            yield from bench.transfer_rows(place.scaled(LARGE, LARGE // 16))
            yield bench.revoke_row()
            target.remove("bench")


class Relays:
    """Measures the instance `bench`, direct and through the service."""

    def __init__(self, target: Site, address: str) -> None:
        self.target = target
        self.address = address
        # Commands through the service share no connection, so those beside them do not either.
        self.direct = target.daemon.env(CLIENT) | {"MULTIPASS_REUSE_SSH": "0"}
        self.relayed = self.direct | {"MULTIPASS_SERVER_ADDRESS": address}

    def exec_row(self, rounds: int) -> Row:
        sides = [partial(self.run, env, "exec", "bench", "--", "true") for env in self.both]
        direct, relayed = take_turns(rounds, *sides)
        figures = f"{relayed * 1e3:.0f} ms, {direct * 1e3:.0f} ms"
        return Row("`exec NAME -- true` relayed", "direct", relayed / direct, EXEC, figures)

    def transfer_rows(self, size: int) -> Iterator[Row]:
        file, back = (self.target.sandbox.root / name for name in ("relay-large", "relay-back"))
        with file.open("wb") as writing:
            for _ in range(size // BLOCK):
                writing.write(os.urandom(BLOCK))
        ways = {"to": [str(file), "bench:large"], "from": ["bench:large", str(back)]}
        for way, words in ways.items():
            sides = [partial(self.run, env, "transfer", *words) for env in self.both]
            direct, relayed = take_turns(1, *sides)
            figures = f"{size / relayed / 1e6:.1f} MB/s, direct {size / direct / 1e6:.1f} MB/s"
            what = f"`transfer` of {size >> 20} MiB {way} an instance, relayed"
            yield Row(what, "direct", direct / relayed, RATE, figures)
        file.unlink()
        back.unlink()

    def revoke_row(self) -> Row:
        """From the start of `revoke`."""
        line = LINE.search(self.target.command("invite", OTHER, "--role", "admin"))
        if line is None:
            raise RuntimeError("no invitation was printed")
        env = self.target.daemon.env(OTHER) | {"MULTIPASS_SERVER_ADDRESS": self.address}
        self.run(env, "authenticate", line[1])
        shell = subprocess.Popen(
            [str(MULTIPASS), *SHELL], env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with shell:
            assert shell.stdout is not None
            if shell.stdout.readline() != b"up\n":
                raise RuntimeError("the relayed shell does not begin")
            started = time.perf_counter()
            self.target.command("revoke", OTHER)
            shell.wait()
            seconds = time.perf_counter() - started
        return Row("`revoke` until a relayed shell has ended", "-", seconds * 1e3, REVOKED)

    @property
    def both(self) -> tuple[dict[str, str], dict[str, str]]:
        return self.direct, self.relayed

    def run(self, env: dict[str, str], *words: str) -> float:
        return run_seconds([str(MULTIPASS), *words], env)
