"""An image that no BIOS can boot: UEFI, whose variables go through suspending as the disk does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.drivers.qemu import command_line
from tests.instances.site import Site
from tools import cloudimage

# The firmware itself takes some.
SIZE = ("--memory", "256M", "--disk", "1G")
LEFT_RUNNING = "(sleep 5000 </dev/null >/dev/null 2>&1 &)"
SLEEPERS = "ps | grep -c '[s]leep 5000'"


@pytest.fixture(scope="module")
def foo(shared: Site) -> Iterator[Site]:
    if not command_line.OVMF_CODE.exists():
        pytest.skip("needs ovmf")
    image = cloudimage.kept("uefi")
    launched = shared.cli("launch", "--name", "foo", *SIZE, f"file://{image}")
    assert launched.stdout.endswith("Launched: foo\n"), launched
    yield shared


def variables(site: Site) -> Path:
    return site.storage / "machines/foo/uefi.qcow2"


def test_it_boots_by_uefi_to_a_disk_that_has_grown(foo: Site) -> None:
    assert "efi" in foo.inside("foo", "ls /sys/firmware").split()
    assert variables(foo).read_bytes()[:4] == b"QFI\xfb"  # qcow2: raw ones can't be suspended
    total = int(foo.inside("foo", "df -k / | awk 'END { print $2 }'"))
    assert total > 800 << 10


def test_it_goes_on_where_it_was_after_suspending_twice(foo: Site) -> None:
    before = foo.boot_id("foo")
    foo.inside("foo", LEFT_RUNNING)
    for _ in range(2):
        foo.done("suspend", "foo")
        foo.done("start", "foo")
        assert (foo.boot_id("foo"), foo.inside("foo", SLEEPERS)) == (before, "1")


def test_a_suspended_state_is_dropped_by_force_and_the_next_start_boots(foo: Site) -> None:
    before = foo.boot_id("foo")
    foo.done("suspend", "foo")
    foo.done("stop", "--force", "foo")
    foo.done("start", "foo")
    assert foo.boot_id("foo") != before
    foo.done("delete", "foo")  # one that runs: in order, by its power button
    assert foo.state("foo") == "Deleted"
    assert not foo.logged("foo ignores the power button")
    foo.done("purge")
    assert not foo.kept_of("foo") and not foo.qemus()
