"""Instances on an Incus cluster of three members: launches beside Incus' own, `list` of many beside
few and beside `incus list`, and what the daemon takes in memory.

The members are containers on this machine. By far most instances are stopped: as many running ones
would measure this machine.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import run_seconds, settled_pss_mib, take_turns
from benchmarks.place import Place
from benchmarks.report import Goal, Row
from multipassd.cloudinit import ssh_keys, userdata
from multipassd.cloudinit.seed import Interface, Seed, files
from tests.system.incus_cluster import PROJECT, Cluster, Member, cluster, incus_base
from tests.system.incus_site import IncusSite, incus_site
from tools import containerimage, roots

MEMBERS = 3
LAUNCH, LIST, BESIDE, MEMORY = Goal(1.5), Goal(2), Goal(0.5), Goal(70, unit=" MiB")
FEW, MANY = 5, 500
ROUNDS, LIST_ROUNDS = 7, 15
KEPT = ("--project", PROJECT)
SSH = (
    "ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
    "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5",
)  # fmt: skip
SEED_PLACE = "rootfs/var/lib/cloud/seed/nocloud"
POLL = 0.25  # seconds between attempts to log in, as the daemon's own


def rows(place: Place) -> Iterator[Row]:
    with (
        incus_base() as base,
        cluster(base, MEMBERS) as fabric,
        incus_site(fabric) as site,
        by_hand(fabric) as hand,
    ):
        yield launch_row(place, site, hand)
        yield from list_rows(place, site, fabric)


class ByHand:
    """`incus launch` of an image that has its seed, and the wait for its SSH."""

    def __init__(self, member: Member, key: Path) -> None:
        self._member = member
        inside = " ".join((*member.entering(), "incus", "exec", "-T", "hand", *KEPT, "--"))
        proxy = f"ProxyCommand={inside} /usr/sbin/sshd -i"
        self._log_in = (*SSH, "-i", str(key), "-o", proxy, "ubuntu@hand", "true")

    def launch(self) -> float:
        """Seconds until its SSH answers."""
        started = time.perf_counter()
        where = ("--target", self._member.name)
        disk, card = ("-d", "root,size=5GiB"), ("--network", "incusbr0")
        self._member.run("incus", "launch", "seeded", "hand", *KEPT, *where, *disk, *card,
                         "--storage", "default")  # fmt: skip
        while subprocess.run(self._log_in, capture_output=True, check=False).returncode:
            time.sleep(POLL)
        seconds = time.perf_counter() - started
        self._member.run("incus", "delete", "--force", "hand", *KEPT)
        return seconds


@contextmanager
def by_hand(fabric: Cluster) -> Iterator[ByHand]:
    with tempfile.TemporaryDirectory() as directory:
        key = Path(directory) / "key"
        pair = ssh_keys.make()
        key.write_bytes(pair.private)
        key.chmod(0o600)
        first = fabric.member(1)
        write_seeded(Path(f"{first.root}/root/seeded.tar.gz"), pair.public)
        first.run("incus", "image", "import", "/root/seeded.tar.gz", *KEPT, "--alias", "seeded")
        yield ByHand(first, key)


def write_seeded(path: Path, public: str) -> None:
    """The tiny image with a seed in it that lets this key in."""
    merged = userdata.merge({}, "hand", (public,), ssh_keys.make(), "UTC")
    seed = Seed("hand", "hand-1", merged, (Interface("00:16:3e:00:00:01"),))
    with roots.scratch("multipass-seeded-") as work:
        subprocess.run(["tar", "-xpf", containerimage.kept(), "-C", work], check=True)
        (work / SEED_PLACE).mkdir(parents=True)
        for name, content in files(seed).items():
            (work / SEED_PLACE / name).write_bytes(content)
        containerimage.pack(work, path)


def timed(command: list[str], env: Mapping[str, str]) -> float:
    """Seconds from its start to its end, by its whole path."""
    program = shutil.which(command[0])
    assert program is not None, command
    return run_seconds([program, *command[1:]], env)


def launch_row(place: Place, site: IncusSite, hand: ByHand) -> Row:
    site.done("launch", "--name", "first", site.url)  # uploads the image

    def ours() -> float:
        command = site.command("launch", "--name", "ours", "--target", "m1", site.url)
        seconds = timed(command, site.daemon.env("alice"))
        site.done("delete", "--purge", "ours")
        return seconds

    own, theirs = take_turns(place.scaled(ROUNDS, 3), ours, hand.launch)
    figures = f"{own:.2f} and {theirs:.2f} s"
    what = "launch of a container to SSH answering, image uploaded"
    return Row(what, "incus launch and the same wait", own / theirs, LAUNCH, figures)


def list_rows(place: Place, site: IncusSite, fabric: Cluster) -> Iterator[Row]:
    many = place.scaled(MANY, 50)
    for number, member in enumerate(fabric.members, 1):
        site.done("launch", "--name", f"base{number}", "--target", member.name, site.url)
        site.done("stop", f"base{number}")
    site.done("delete", "--purge", "first")
    few = [f"running{number}" for number in range(FEW - MEMBERS)]
    for name in few:
        site.done("launch", "--name", name, site.url)
    env = site.daemon.env("alice")

    def listed() -> float:
        return timed(site.command("list"), env)

    (with_few,) = take_turns(place.scaled(LIST_ROUNDS, 5), listed)
    for number in range(many - FEW):
        site.done("clone", f"base{number % MEMBERS + 1}", "--name", f"copy{number}")
    first = fabric.member(1)
    incus = [*first.entering(), "incus", "list", *KEPT]
    with_many, theirs = take_turns(place.scaled(LIST_ROUNDS, 5), listed, lambda: timed(incus, env))
    figures = f"{with_many * 1000:.1f} and {with_few * 1000:.1f} ms; all on {MEMBERS} members"
    yield Row(f"list with {many} instances", f"with {FEW}", with_many / with_few, LIST, figures)
    figures = f"{with_many * 1000:.0f} and {theirs * 1000:.0f} ms"
    yield Row(f"list with {many} instances", "incus list", with_many / theirs, BESIDE, figures)
    pss = settled_pss_mib(site.daemon.pid)
    site.daemon.restart()
    site.wait_for(lambda: "running0" in site.states(), "the instances")
    again = settled_pss_mib(site.daemon.pid)
    figures = f"{len(few)} of them run; {again:.1f} MiB after a restart"
    yield Row(f"daemon PSS with {many} instances", "-", pss, MEMORY, figures)
