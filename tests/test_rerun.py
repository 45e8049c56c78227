"""`./dev test --rerun`: what failed runs once more, and the last line counts for both runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.sandbox import CHECKOUT

STEADY = "def test_steady(): pass\n"
SKIPPED = "def test_skipped():\n    import pytest\n    pytest.skip('not here')\n"
BROKEN = "def test_broken(): assert False\n"
UNSTEADY = """
from pathlib import Path

def test_unsteady():
    before = Path(__file__).with_name("before")
    found = before.exists()
    before.touch()
    assert found
"""
UNSTEADY_LINE = "unsteady, failed once and then passed: test_it.py::test_unsteady"


def rerun(place: Path, source: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (place / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    (place / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "tools.rerun", "-c", str(place / "pytest.ini")]
    return subprocess.run(
        [*command, *arguments, str(place)],
        env={**os.environ, "PYTEST_DEBUG_TEMPROOT": str(place)},  # else it closes ours to others
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_test_that_passes_the_second_time_is_listed_as_unsteady(
    tmp_path: Path, workers: str
) -> None:
    done = rerun(tmp_path, STEADY + SKIPPED + UNSTEADY, "-n", workers)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done
    assert lines[-3] == UNSTEADY_LINE
    assert lines[-1] == "2 passed, 0 failed, 1 skipped"


def test_a_test_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    done = rerun(tmp_path, STEADY + BROKEN + UNSTEADY)
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done
    assert "failed twice: test_it.py::test_broken" in lines
    assert UNSTEADY_LINE in lines
    assert lines[-1] == "2 passed, 1 failed, 0 skipped"


def test_a_run_without_failures_ends_with_pytests_own_summary(tmp_path: Path) -> None:
    done = rerun(tmp_path, STEADY)
    assert done.returncode == 0, done
    assert "1 passed in" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("source", "workers"), [("import missing_module\n", "2"), ("", "0")])
def test_a_run_that_went_wrong_itself_is_not_repeated(
    tmp_path: Path, source: str, workers: str
) -> None:
    done = rerun(tmp_path, source, "-n", workers)
    assert done.returncode != 0, done
    assert "once more" not in done.stdout


def test_many_failures_are_not_repeated(tmp_path: Path) -> None:
    many = "import pytest\n@pytest.mark.parametrize('i', range(21))\ndef test_it(i): assert False\n"
    done = rerun(tmp_path, many)
    assert done.returncode == 1, done
    assert "21 failed" in done.stdout.splitlines()[-1] and "once more" not in done.stdout
