"""Hosts with a real snapd: one unpacked a session, copied for each test."""

from collections.abc import Iterator

import pytest

from tests.packaging.golden import new_snap_host
from tests.packaging.snaphost import SnapHost
from tools import snap_python
from tools.roots import RootError


@pytest.fixture(scope="session")
def untouched() -> Iterator[SnapHost]:
    """A host with snapd and its base that is never booted, for copies. The snap lies there."""
    try:
        snap_python.prefix()
    except RootError as error:
        pytest.skip(str(error))
    with new_snap_host() as one:
        yield one


@pytest.fixture
def bare(untouched: SnapHost) -> Iterator[SnapHost]:
    """Booted; our snap is not installed."""
    with untouched.copy() as one:
        one.boot()
        yield one


@pytest.fixture
def machine(bare: SnapHost) -> SnapHost:
    """Booted, with this project's snap; no client has called yet."""
    bare.install()
    return bare
