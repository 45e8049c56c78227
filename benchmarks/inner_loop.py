"""Duration of the tests that an engineer runs often: `--fast`, and one file."""

import subprocess
import time
from collections.abc import Iterator

from benchmarks.measure import take_turns
from benchmarks.place import Place
from benchmarks.report import Goal, Row
from tools.sandbox import CHECKOUT

FAST = Goal(90, unit=" s")
ONE_FILE = Goal(2, unit=" s")
WHOLE = Goal(15, unit=" min")
SMALL_FILE = "tests/protocol/test_sizes.py"


def seconds_of(*arguments: str) -> float:
    """`./dev test` with these arguments. Raises CalledProcessError where a test fails."""
    start = time.monotonic()
    command = ["./dev", "test", "-q", *arguments]
    subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - start


def suite_rows(place: Place) -> Iterator[Row]:
    """The whole suite once, as a part of its own: it takes minutes."""
    what = "`./dev test`: every test of this machine"
    yield Row(what, "-", seconds_of() / 60, WHOLE, "one run")


def rows(place: Place) -> Iterator[Row]:
    (one_file,) = take_turns(place.scaled(5, 3), lambda: seconds_of(SMALL_FILE))
    yield Row("`./dev test` of one small file", "-", one_file, ONE_FILE)
    if not place.quick:
        yield Row("`./dev test --fast`", "-", seconds_of("--fast"), FAST)
