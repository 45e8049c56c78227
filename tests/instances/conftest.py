"""Instances on real QEMU: skipped where it or what the tiny image is built with is missing."""

import shutil
from collections.abc import Iterator

import pytest

from tests.instances.site import Site, site
from tools import cloudimage, roots

PROGRAMS = ("qemu-system-x86_64", "qemu-img", "ssh")
SECONDS = 600  # emulated guests on a busy machine, and the image may have to be built first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "instances" and item.path.parent.parent.name == "tests":
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def tiny_image() -> None:
    """It can be had here."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    try:
        cloudimage.kept()
    except roots.RootError as error:
        pytest.skip(f"the tiny image can't be built here: {error}")


@pytest.fixture(scope="module")
def shared(tiny_image: None) -> Iterator[Site]:
    """One daemon for all tests of a module."""
    with site() as one:
        yield one


@pytest.fixture
def own(tiny_image: None) -> Iterator[Site]:
    with site() as one:
        yield one
