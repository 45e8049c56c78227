"""Write tests/slow.txt, the tests that have the mark `slow`, from the durations of a run of pytest.

Usage: ./dev test -m 'not host' --durations=0 --durations-min=0.5 | python -m tools.slow_tests

Make it again when `./dev bench --only tests` misses its goal.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

LIST = Path(__file__).resolve().parent.parent / "tests" / "slow.txt"
# Seconds. Without the tests above it, `--fast` keeps within its 90 s; the run that is measured is
# busy with two tests at once, so a test by itself takes less.
SLOW = 1.5
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
    return sorted(test for test, duration in slowest.items() if duration >= SLOW)


def main() -> None:
    head = "# Tests with the mark `slow`, by measured durations: written by tools/slow_tests.py.\n"
    LIST.write_text(head + "".join(f"{test}\n" for test in slow_tests(sys.stdin)), "utf-8")


if __name__ == "__main__":
    main()
