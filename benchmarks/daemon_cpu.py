"""Processor time of the daemon, with a client that asks for the list every second, and without."""

import subprocess
import time
from collections.abc import Callable, Iterator

from benchmarks.measure import Figure
from benchmarks.place import Place
from benchmarks.proc import cpu_seconds
from benchmarks.report import Goal, Row

EVERY = 1.0  # seconds from one `list` to the next
WINDOWS = 5  # of which the spread is shown
WINDOW_SECONDS = 12.0  # five are the goal's minute; the kernel counts in steps of 0.1 % of it

POLLED = Goal(0.5, unit=" %")


def rows(place: Place) -> Iterator[Row]:
    def ask() -> None:
        subprocess.run(place.list_command, env=place.env, stdout=subprocess.DEVNULL, check=True)

    seconds = 4.0 if place.quick else WINDOW_SECONDS
    idle, polled = shares(place, seconds, lambda: None), shares(place, seconds, ask)
    yield Row(
        "CPU of the daemon, `list` once a second",
        f"a core, for {WINDOWS * seconds:.0f} s",
        Figure(polled),
        POLLED,
        f"idle {Figure(idle):.2f} %",
    )


def shares(place: Place, seconds: float, step: Callable[[], None]) -> list[float]:
    """Percent of a core, in each window, with a step at each of its seconds."""
    found = []
    due = time.monotonic()
    for _ in range(WINDOWS):
        before, started = cpu_seconds(place.daemon.pid), time.monotonic()
        while time.monotonic() < started + seconds:
            step()
            due += EVERY
            time.sleep(max(0.0, due - time.monotonic()))
        used = cpu_seconds(place.daemon.pid) - before
        found.append(100 * used / (time.monotonic() - started))
    return found
