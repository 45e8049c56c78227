"""The order of a whole run: what takes long first, and an even share of it for each worker.

xdist's worksteal gives each worker a contiguous part of the tests; a worker that has nothing left
takes half of what another one still has to do, from its end. So each part begins with whole modules
that take long, whose costly fixtures are then made once, and ends with quick tests, which are what
is taken over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

LIST = Path(__file__).with_name("long.txt")

Item = TypeVar("Item")


def seconds_of_modules(text: str) -> dict[str, float]:
    """The table in tests/long.txt: seconds of whole modules, which tools/slow_tests.py measured."""
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {module: float(seconds) for seconds, module in rows}


def spread(
    items: Sequence[Item], module: Callable[[Item], str], seconds: Mapping[str, float], workers: int
) -> list[Item]:
    """The same items, in as many parts as there are workers, as worksteal will cut them."""
    long: defaultdict[str, list[Item]] = defaultdict(list)
    quick: list[Item] = []
    for item in items:
        (long[module(item)] if module(item) in seconds else quick).append(item)
    parts: list[list[Item]] = [[] for _ in range(workers)]
    shares = [0.0] * workers
    for name in sorted(long, key=lambda name: (-seconds[name], name)):
        least = shares.index(min(shares))
        parts[least] += long[name]
        shares[least] += seconds[name]
    for number, part in enumerate(parts):
        whole = (len(items) - sum(map(len, parts[:number]))) // (workers - number)
        missing = max(0, whole - len(part))
        part += quick[:missing]
        del quick[:missing]
    return [item for part in parts for item in part] + quick
