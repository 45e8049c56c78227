"""Fixtures with real users, a copy of the project that they can read, and a daemon as root."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import smalldisk
from tests.system import people as accounts
from tests.system.host import Host, new_host
from tests.system.host_trust import let_sudo_ask_nothing
from tests.system.people import People
from tests.system.site import Site
from tools.sandbox import Sandbox


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    why = accounts.obstacle()
    for item in items:
        if here in item.path.parents and not item.get_closest_marker("host"):
            item.add_marker(pytest.mark.root)
            if why:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture
def site(copy: Path, people: People) -> Iterator[Site]:
    """A place for one daemon, which the test starts: ``site.start()``. It must end well."""
    sandbox = Sandbox.create()
    one = Site(sandbox, copy, people)
    try:
        yield one
        one.daemon.stop()
    finally:
        one.daemon.abandon()
        sandbox.remove()


@pytest.fixture
def small_disk(site: Site) -> Path:
    """The daemon's storage on a disk of its own, of one megabyte."""
    smalldisk.mount(site.sandbox.storage, "1m")
    return site.sandbox.storage


@pytest.fixture(scope="session")
def untouched() -> Iterator[Host]:
    """A host with the package that is never booted, for `copy`: quicker than one of its own."""
    with new_host() as one:
        let_sudo_ask_nothing(one)
        yield one


@pytest.fixture
def machine(untouched: Host) -> Iterator[Host]:
    """A booted host with the package, whose service no client has called yet."""
    with untouched.copy() as one:
        one.boot()
        yield one
