"""The client's own finder of modules finds what the standard one finds, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

import client
from tests.client.program import PROGRAM
from tests.test_architecture import modules, within

ROOT = PROGRAM.parent.parent
OWN = sorted(name for name in modules() if within(name, "client", "protocol") and "." in name)
VERSION = "protocol/version.py"


def place_of(name: str) -> list[str]:
    return [str(ROOT.joinpath(*name.split(".")[:-1]))]


@pytest.mark.parametrize("name", OWN)
def test_each_module_is_found_as_the_standard_finder_does(name: str) -> None:
    found = client.Finder().find_spec(name, place_of(name))
    expected = PathFinder.find_spec(name, place_of(name))
    assert found is not None and expected is not None
    for trait in ("name", "origin", "cached", "has_location", "submodule_search_locations"):
        assert getattr(found, trait) == getattr(expected, trait), trait
    assert type(found.loader) is type(expected.loader)


@pytest.mark.parametrize(
    ("name", "path"),
    [("client.none", place_of("client.x")), ("client.main", None), ("json.decoder", [str(ROOT)])],
)
def test_other_names_are_left_to_the_next_finder(name: str, path: list[str] | None) -> None:
    assert client.Finder().find_spec(name, path) is None


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("bin", "client", "protocol"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def version(copy: Path, program: str = "bin/multipass") -> str:
    environ = {"HOME": str(copy), "MULTIPASS_SERVER_ADDRESS": f"unix:{copy}/none"}
    done = subprocess.run(
        [copy / program, "version"], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()[-1]


def test_a_source_that_has_changed_is_compiled_again(copy: Path) -> None:
    version(copy)
    (copy / VERSION).write_text('VERSION = "9.9.9"\n')
    assert version(copy) == "9.9.9"


def test_a_damaged_compiled_file_is_no_obstacle(copy: Path) -> None:
    before = version(copy)
    for compiled in (copy / "protocol/__pycache__").glob("version.*"):
        compiled.write_bytes(b"garbage")
    assert version(copy) == before


@pytest.mark.parametrize("target", ["{copy}/bin/multipass", "../bin/multipass", "second"])
def test_a_symbolic_link_to_the_launcher_starts_the_tree_of_that_launcher(
    copy: Path, target: str
) -> None:
    """A relative one, as a package's in /usr/bin, and one that leads to another."""
    (copy / VERSION).write_text('VERSION = "9.9.9"\n')
    (copy / "links").mkdir()
    os.symlink("../bin/multipass", copy / "links/second")
    os.symlink(target.format(copy=copy), copy / "links/first")
    assert version(copy, "links/first") == "9.9.9"


def test_a_link_in_a_linked_directory_starts_the_tree_that_the_kernel_finds(copy: Path) -> None:
    """By its words it would lead to another tree, which is there."""
    (copy / VERSION).write_text('VERSION = "9.9.9"\n')
    (copy / "links").mkdir()
    os.symlink("../bin/multipass", copy / "links/first")
    other = copy / "other"
    for name in ("bin", "client", "protocol"):
        shutil.copytree(ROOT / name, other / name)
    os.symlink(copy / "links", other / "links")
    assert version(copy, "other/links/first") == "9.9.9"


def test_a_package_s_link_loads_what_was_compiled_at_its_own_path(copy: Path) -> None:
    """A path with `..` in it would have each compiled file corrected in each start."""
    (copy / "links").mkdir()
    os.symlink("../bin/multipass", copy / "links/first")
    command = ["/usr/bin/python3", "-I", "-S", "-v", f"{copy}/links/first", "help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"'{copy}/client/main.py'" in done.stderr or f" {copy}/client/main.py" in done.stderr
    assert ".." not in "".join(line for line in done.stderr.splitlines() if "main" in line)
