"""Write tests/slow.txt and tests/long.txt from the durations of a whole run of pytest: the tests
that have the mark `slow`, and the modules that a whole run begins with (tests/order.py).

Usage: ./dev test --durations=0 --durations-min=0.2 | python -m tools.slow_tests

Make them again when `./dev bench --only tests` misses its goal, or a whole run takes longer.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
SLOW_LIST, LONG_LIST = TESTS / "slow.txt", TESTS / "long.txt"
# Seconds. Without the tests above it, `--fast` keeps within its 90 s; the run that is measured is
# busy with two tests at once, so a test by itself takes less.
SLOW = 1.5
LONG = 8.0  # seconds of a module, below which it is worth no place in the order
# Without the mark, too, `--fast` leaves them out: they boot containers, or run QEMU.
OTHERS = ("tests/instances/", "tests/packaging/", "tests/system/")
DURATION = re.compile(r"([\d.]+)s (?:setup|call|teardown) +(\S+?)(?:\[.*)?\n?")


def slow_tests(report: Iterable[str]) -> list[str]:
    """The tests, without their parameters, of which setup, call and teardown took SLOW or more."""
    seconds: defaultdict[str, float] = defaultdict(float)
    slowest: defaultdict[str, float] = defaultdict(float)
    for line in report:
        if match := DURATION.fullmatch(line):
            whole = line.rstrip("\n").partition("tests/")[2]
            seconds[whole] += float(match[1])
            slowest[match[2]] = max(slowest[match[2]], seconds[whole])
    return sorted(
        test
        for test, duration in slowest.items()
        if duration >= SLOW and not test.startswith(OTHERS)
    )


def long_modules(report: Iterable[str]) -> list[str]:
    """The modules that took LONG or more, the longest first, with their seconds."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for line in report:
        if match := DURATION.fullmatch(line):
            seconds[match[2].partition("::")[0]] += float(match[1])
    taken = sorted(seconds.items(), key=lambda each: (-each[1], each[0]))
    return [f"{duration:.0f} {module}" for module, duration in taken if duration >= LONG]


def main() -> None:
    report = sys.stdin.readlines()
    for path, subject, found in (
        (SLOW_LIST, "Tests with the mark `slow`", slow_tests(report)),
        (LONG_LIST, "Seconds of the modules that a whole run begins with", long_modules(report)),
    ):
        head = f"# {subject}, by measured durations: written by tools/slow_tests.py.\n"
        path.write_text(head + "".join(f"{line}\n" for line in found), "utf-8")


if __name__ == "__main__":
    main()
