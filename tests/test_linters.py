"""The linters are tests, so that one command says whether a change may land."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHON = [sys.executable, "-m"]
# mypy from nothing reads all of the standard library's types on two busy cores.
TIME_LIMIT = 280

pytestmark = pytest.mark.linter


def run(*command: str) -> None:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIME_LIMIT
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def test_ruff_finds_nothing() -> None:
    run(*PYTHON, "ruff", "check", ".")


def test_mypy_strict_finds_nothing() -> None:
    run(*PYTHON, "mypy")
    run(*PYTHON, "mypy", "--scripts-are-modules", *map(str, sorted((ROOT / "bin").iterdir())))


def test_prose_holds_its_budget() -> None:
    run(*PYTHON, "tools.prose", "--list")


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed; ./dev installs it")
    run(shellcheck, "dev", ".ci/run", "debian/tests/first-day", "debian/tests/page")


JAVASCRIPT = ROOT / "tools/javascript"


def javascript(program: str, *words: str) -> None:
    path = JAVASCRIPT / "node_modules/.bin" / program
    if not path.exists() or shutil.which("node") is None:
        pytest.skip(f"{program} is not installed; ./dev installs it where there is npm")
    run(str(path), *words)


def test_the_pages_types_fit() -> None:
    javascript("tsc", "-p", str(JAVASCRIPT / "tsconfig.json"))


def test_eslint_finds_nothing_in_the_page() -> None:
    config = str(JAVASCRIPT / "eslint.config.js")
    javascript("eslint", "-c", config, "cockpit", "--ignore-pattern", "cockpit/vendor/**")
