"""Measure time and memory. The sides of a comparison take turns, so that load affects all alike."""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Self

from benchmarks.proc import pss_mib

BARE_PYTHON = ["/usr/bin/python3", "-I", "-S", "-c", "pass"]


def run_seconds(command: list[str], env: Mapping[str, str]) -> float:
    """Seconds from process start to exit; output is discarded. Raises RuntimeError if it fails."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
        started = time.perf_counter()
        pid = os.posix_spawn(command[0], command, env, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        seconds = time.perf_counter() - started
    finally:
        os.close(null)
    if status:
        raise RuntimeError(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds


class Figure(float):
    """The median of several runs, which it keeps. A quotient of two is one again: of the quotients
    of runs that followed each other, so that it holds where the machine's speed drifts."""

    runs: tuple[float, ...]

    def __new__(cls, runs: Iterable[float]) -> Self:
        kept = tuple(runs)
        figure = super().__new__(cls, statistics.median(kept))
        figure.runs = kept
        return figure

    def __truediv__(self, other: float) -> float:
        if isinstance(other, Figure):
            return Figure(a / b for a, b in zip(self.runs, other.runs, strict=True))
        return float(self) / other

    def __mul__(self, factor: float) -> "Figure":
        return Figure(each * factor for each in self.runs)


def take_turns(rounds: int, *sides: Callable[[], float]) -> list[Figure]:
    """`rounds` runs of each side, in turns; an extra first round is not counted."""
    for side in sides:
        side()
    taken: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for values, side in zip(taken, sides, strict=True):
            values.append(side())
    return [Figure(values) for values in taken]


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls of ``call`` a second."""
    started = time.perf_counter()
    end = started + seconds
    count = 0
    while (now := time.perf_counter()) < end:
        call()
        count += 1
    return count / (now - started)


def settled_pss_mib(pid: int, patience: float = 5.0) -> float:
    """PSS in MiB once it no longer falls: connections may still be closing."""
    end = time.monotonic() + patience
    lowest = pss_mib(pid)
    while time.monotonic() < end:
        time.sleep(0.5)
        now = pss_mib(pid)
        if now > lowest - 0.05:
            return min(now, lowest)
        lowest = now
    return lowest
