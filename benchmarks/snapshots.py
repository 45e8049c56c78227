"""Snapshots: what they cost with much data on the disk, beside little."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import run_seconds, take_turns
from benchmarks.place import CLIENT, Place
from benchmarks.report import Goal, Row
from tools import records
from tools.daemon import Daemon
from tools.sandbox import MULTIPASS, Sandbox

SMALL, LARGE, QUICK = 100 << 20, 10 << 30, 1 << 30  # bytes of data
PIECE = 50 << 20  # of one write
NAMES = ("small", "large")
BY_SIZE = Goal(1.3)
AT_MOST = Goal(1000, unit=" ms")


def rows(place: Place) -> Iterator[Row]:
    if shutil.which("qemu-io") is None:
        raise RuntimeError("qemu-io is missing")
    large = place.scaled(LARGE, QUICK)
    sandbox = Sandbox.create()
    daemon = Daemon(sandbox)
    try:
        for number, (name, size) in enumerate(zip(NAMES, (SMALL, large), strict=True)):
            records.put(sandbox, records.make(name, number, disk=2 * LARGE))
            fill(records.registry(sandbox).place(name) / "disk.qcow2", size)
        daemon.start()
        yield from timed(daemon, place.scaled(9, 3), f"{large / (1 << 30):.0f} GB")
        daemon.stop()
    finally:
        daemon.abandon()
        sandbox.remove()


class Step(NamedTuple):
    """A command that is timed, and what is done before and after it; `{}` is the instance."""

    title: str
    before: str
    timed: str
    after: str


STEPS = (
    Step("`snapshot`", "", "snapshot {} --name s", "delete --purge {}.s"),
    Step("`restore`", "", "restore --destructive {}.kept", ""),
    Step("`delete` of a snapshot", "snapshot {} --name s", "delete --purge {}.s", ""),
)


def timed(daemon: Daemon, rounds: int, size: str) -> Iterator[Row]:
    env = daemon.env(CLIENT)
    for name in NAMES:
        run(f"snapshot {name} --name kept", env)
    for step in STEPS:
        small, large = take_turns(rounds, *(partial(seconds, step, name, env) for name in NAMES))
        what = f"{step.title}, {size} of data"
        figures = f"{large * 1e3:.0f} ms, {small * 1e3:.0f} ms"
        yield Row(what, "100 MB", large / small, BY_SIZE, figures)
        yield Row(what, "-", large * 1e3, AT_MOST)


def seconds(step: Step, name: str, env: Mapping[str, str]) -> float:
    if step.before:
        run(step.before.format(name), env)
    taken = run(step.timed.format(name), env)
    if step.after:
        run(step.after.format(name), env)
    return taken


def run(words: str, env: Mapping[str, str]) -> float:
    return run_seconds([str(MULTIPASS), *words.split()], env)


def fill(disk: Path, size: int) -> None:
    """With data that is on the host's disk when this returns."""
    writes = "".join(f"write -q -P 7 {at} {PIECE}\n" for at in range(0, size, PIECE))
    subprocess.run(
        ["qemu-io", "-f", "qcow2", str(disk)],
        input=writes.encode(), stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    with disk.open("rb") as file:
        os.fsync(file.fileno())
