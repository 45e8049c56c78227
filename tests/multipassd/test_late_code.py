"""Modules that are loaded late are those of the start, or none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.sandbox import CHECKOUT

# An interpreter of its own, which imports from a small tree: the two packages with three modules.
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
sys.path.append(sys.argv[2])
import importlib
import protocol.early
import multipassd
multipassd.__path__.append(sys.argv[2] + "/multipassd")  # for late_code and what it needs
protocol.__path__.append(sys.argv[2] + "/protocol")
from multipassd.late_code import CodeReplaced, LateCode
late = LateCode(sys.argv[1])
late.install()
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package in ("protocol", "multipassd"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "protocol" / "early.py").write_text("version = 1\n")
    (tmp_path / "multipassd" / "part.py").write_text("from protocol.early import version\n")
    (tmp_path / "multipassd" / "other.py").write_text("version = 1\n")
    (tmp_path / "multipassd" / "admin.py").write_text("raise SystemExit('loaded')\n")
    return tmp_path


def run(tree: Path, then: str) -> str:
    command = [sys.executable, "-I", "-B", "-c", SCRIPT + then, str(tree), str(CHECKOUT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_that_is_as_it_was_is_loaded(tree: Path) -> None:
    said = run(tree, "from multipassd import part; print(part.version)")
    assert said == "1\n"


# In place, as an editor may write, and by another file under its name, as packages do.
REPLACED = {
    "rewritten": "open(path, 'a').write('version = 2\\n')",
    "renamed onto": "open(path + '.new', 'w').write('version = 2\\n');"
    " import os; os.replace(path + '.new', path)",
    "removed and made": "import os; os.unlink(path); open(path, 'w').write('version = 1 \\n')",
}


@pytest.mark.parametrize("how", REPLACED)
def test_a_file_that_was_replaced_is_refused_with_what_to_do(tree: Path, how: str) -> None:
    then = f"""
path = sys.argv[1] + "/multipassd/part.py"
{REPLACED[how]}
try:
    from multipassd import part
except CodeReplaced as error:
    print(error.status.name, error.message)
from multipassd import other
print(other.version)
"""
    said = run(tree, then)
    assert said.startswith("UNAVAILABLE The files of the service were replaced while it ran")
    assert "restart" in said
    assert said.endswith("\n1\n"), "what was not replaced is still loaded"


@pytest.mark.parametrize("gone", ["part.py", "admin.py", "inner"])
def test_a_file_that_is_gone_is_refused_in_the_same_way(tree: Path, gone: str) -> None:
    """The new version has it elsewhere, or no more; a directory may stay, for what is compiled."""
    (tree / "multipassd" / "inner").mkdir()
    (tree / "multipassd" / "inner" / "__init__.py").write_text("")
    (tree / "multipassd" / "inner" / "__pycache__").mkdir()
    (tree / "multipassd" / "inner" / "module.py").write_text("")
    then = f"""
import os
path = sys.argv[1] + "/multipassd/{gone}"
if os.path.isdir(path):
    os.unlink(path + "/__init__.py")
    os.unlink(path + "/module.py")
else:
    os.unlink(path)
importlib.invalidate_caches()
try:
    importlib.import_module("multipassd.{gone.removesuffix(".py")}")
except CodeReplaced:
    print("refused")
"""
    assert run(tree, then) == "refused\n"


def test_a_new_file_is_refused_too(tree: Path) -> None:
    then = """
open(sys.argv[1] + "/multipassd/new.py", "w").write("version = 2\\n")
importlib.invalidate_caches()
try:
    import multipassd.new
except CodeReplaced:
    print("refused")
"""
    assert run(tree, then) == "refused\n"


def test_after_load_rest_a_replacement_changes_nothing_and_programs_are_not_loaded(
    tree: Path,
) -> None:
    then = """
late.load_rest()
for name in ("part", "other"):
    open(sys.argv[1] + f"/multipassd/{name}.py", "w").write("version = 2\\n")
from multipassd import other, part
print(part.version, other.version, "multipassd.admin" in sys.modules)
"""
    assert run(tree, then) == "1 1 False\n"


@pytest.mark.parametrize(("first", "loaded"), [("pass", False), ("import incus", True)])
def test_a_driver_that_is_not_chosen_is_not_loaded(tree: Path, first: str, loaded: bool) -> None:
    place = tree / "multipassd" / "drivers" / "incus"
    place.mkdir(parents=True)
    for name in ("../__init__", "__init__", "part"):
        (place / f"{name}.py").write_text("")
    then = f"""
{first.replace("incus", "multipassd.drivers.incus")}
late.load_rest()
print("multipassd.drivers.incus.part" in sys.modules)
"""
    assert run(tree, then) == f"{loaded}\n"


def test_an_absent_module_is_an_ordinary_import_error(tree: Path) -> None:
    then = """
try:
    import multipassd.nowhere
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert run(tree, then) == "multipassd.nowhere\n"
