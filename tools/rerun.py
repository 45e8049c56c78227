"""Run pytest; run the tests that failed once more, and list those that pass then as unsteady.

Usage: python -m tools.rerun [PYTEST ARGUMENTS]

The exit code is 0 only if every test passed, at once or in the second run. The last line counts
for both runs: pytest's own summary, or `N passed, N failed` where there was a second run. The same
module is the plugin of both runs: it records what failed, and selects only that in the second one.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSED, FAILED = 0, 1  # pytest's exit codes; any other one means that the run itself went wrong
# More failures than this are a broken change: a second run would only take time.
MAX_RERUNS = 20
RECORD = "MULTIPASS_TEST_RECORD"  # where a run writes its outcomes
SELECTION = "MULTIPASS_TEST_SELECTION"  # the record whose failed tests are to be run


@dataclass(frozen=True)
class Outcome:
    """One run of pytest: its exit code, and the ids of its tests by outcome."""

    code: int
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()


class Recorder:
    """A pytest plugin: the worst outcome of each test, over set-up, call and teardown."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worst = self._outcomes.get(report.nodeid, "passed")
        if report.outcome == "failed" or worst == "passed":
            self._outcomes[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        self._target.write_text(json.dumps(self._outcomes), "utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """The record is written by the process that gets all reports, not by the workers of xdist."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(os.environ[RECORD])))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if SELECTION not in os.environ:
        return
    outcomes = json.loads(Path(os.environ[SELECTION]).read_text("utf-8"))
    chosen = [item for item in items if outcomes.get(item.nodeid) == "failed"]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def run(record: Path, arguments: list[str], selection: Path | None = None) -> Outcome:
    """Runs pytest, all that `arguments` name or only the failed tests of `selection`."""
    env = {**os.environ, RECORD: str(record)}
    env.pop(SELECTION, None)  # of a run around this one, as in the tests of this module
    if selection is not None:
        env[SELECTION] = str(selection)
    command = [sys.executable, "-m", "pytest", "-p", "tools.rerun", *arguments]
    code = subprocess.run(command, env=env, check=False).returncode
    if code not in (PASSED, FAILED):
        return Outcome(code)
    outcomes: dict[str, str] = json.loads(record.read_text("utf-8"))

    def having(outcome: str) -> tuple[str, ...]:
        return tuple(test for test, found in outcomes.items() if found == outcome)

    return Outcome(code, having("failed"), having("skipped"), having("passed"))


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="multipass-rerun-") as directory:
        records = Path(directory, "first"), Path(directory, "second")
        first = run(records[0], arguments)
        if first.code != FAILED or not 0 < len(first.failed) <= MAX_RERUNS:
            return first.code
        print(f"\nRunning the {len(first.failed)} failed tests once more", flush=True)
        second = run(records[1], arguments, selection=records[0])
    if second.code not in (PASSED, FAILED):
        return second.code
    report(first, second)
    return second.code


def report(first: Outcome, second: Outcome) -> None:
    print()
    for test in second.failed:
        print(f"failed twice: {test}")
    for test in second.passed:
        print(f"unsteady, failed once and then passed: {test}")
    if second.passed:
        print("An unsteady test is a bug, of the test or of the program: repair it.")
    passed = len(first.passed) + len(second.passed)
    skipped = len(first.skipped) + len(second.skipped)
    print(f"{passed} passed, {len(second.failed)} failed, {skipped} skipped", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
