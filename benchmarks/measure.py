"""Clocks and scales. Sides of a comparison take turns, so that a busy moment hits all alike."""

import os
import statistics
import time
from collections.abc import Callable, Mapping

from benchmarks.proc import pss_mib

BARE_PYTHON = ["/usr/bin/python3", "-I", "-S", "-c", "pass"]


def run_seconds(command: list[str], env: Mapping[str, str]) -> float:
    """From process start to exit; it must succeed. Its output goes nowhere."""
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


def take_turns(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """Each side once a round; the medians. One round before counts for nothing: it warms up."""
    for side in sides:
        side()
    taken: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for values, side in zip(taken, sides, strict=True):
            values.append(side())
    return [statistics.median(values) for values in taken]


def rate(call: Callable[[], object], seconds: float) -> float:
    """How often a second ``call`` comes back."""
    started = time.perf_counter()
    end = started + seconds
    count = 0
    while (now := time.perf_counter()) < end:
        call()
        count += 1
    return count / (now - started)


def settled_pss_mib(pid: int, patience: float = 5.0) -> float:
    """PSS once it no longer falls: what was open before may still be closing."""
    end = time.monotonic() + patience
    lowest = pss_mib(pid)
    while time.monotonic() < end:
        time.sleep(0.5)
        now = pss_mib(pid)
        if now > lowest - 0.05:
            return min(now, lowest)
        lowest = now
    return lowest
