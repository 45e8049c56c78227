"""Instances on real QEMU: skipped where it or what the tiny image is built with is missing."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.instances.site import Site, silent_disk, site
from tools import cloudimage, roots
from tools.imageserver import Faults, ImageServer, serving
from tools.imagetree import ImageTree

PROGRAMS = ("qemu-system-x86_64", "qemu-img", "ssh")
SECTOR = 512  # bytes that boot
SECONDS = 600  # emulated guests on a busy machine, and the image may have to be built first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "instances" and item.path.parent.parent.name == "tests":
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.qemu)
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def qemu() -> None:
    """Skips where QEMU, its tools or OpenSSH's client is missing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture(scope="session")
def tiny_image(qemu: None) -> None:
    """Skips if the tiny image can't be built here."""
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
def own(qemu: None) -> Iterator[Site]:
    with site() as one:
        yield one


@pytest.fixture(scope="module")
def server(qemu: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageServer]:
    """Of `noble`: a disk without a system, large enough to be broken off in the middle."""
    place = tmp_path_factory.mktemp("images")
    disk = place / "disk.raw"
    silent_disk(disk, os.urandom((4 << 20) - SECTOR))
    tree = ImageTree(place / "www")
    tree.publish(disk)
    with serving(tree.root) as running:
        yield running


@pytest.fixture
def served(server: ImageServer) -> Iterator[Site]:
    """A daemon that knows this server and no other, and has nothing of it yet."""
    with site({"MULTIPASS_IMAGE_REMOTES": server.remotes()}) as one:
        yield one
    server.faults = Faults()
