"""Snapshots and clones of a virtual machine on an Incus cluster. Not on the machine that
test_host_incus_vm.py has suspended: where it is emulated it does not see the power button after
that, and a start soon after a forced stop has failed within Incus."""

from __future__ import annotations

import pytest

from tests.system import test_host_incus_vm as same
from tests.system.incus_site import VirtualMachineSite

pytestmark = [pytest.mark.host, pytest.mark.very_slow]

FILE = "/home/ubuntu/file"
base = same.base
foo = same.foo


def test_each_of_several_restores_brings_back_what_its_snapshot_had(
    foo: VirtualMachineSite,
) -> None:
    foo.done("start", "foo")
    for number in ("1", "2"):
        foo.inside("foo", f"echo {number} > {FILE}; sync")
        foo.done("stop", "foo")
        foo.done("snapshot", "foo", "--name", f"s{number}")
        foo.done("start", "foo")
    for number in ("1", "2"):
        foo.done("stop", "foo")
        foo.done("restore", "--destructive", f"foo.s{number}")
        foo.done("start", "foo")
        assert foo.inside("foo", f"cat {FILE}") == number


def test_a_clone_and_a_clone_of_it_under_the_first_name_are_other_machines(
    foo: VirtualMachineSite,
) -> None:
    """Each log-in is to the host key that the service has on record."""
    foo.done("start", "foo")
    foo.inside("foo", f"echo kept > {FILE}; sync")
    identity = foo.identity("foo")
    foo.done("stop", "foo")
    foo.done("clone", "foo", "--name", "bar")
    foo.done("delete", "--purge", "foo")
    foo.done("start", "bar")
    assert foo.inside("bar", f"hostname; cat {FILE}") == "bar\nkept"
    copied = foo.identity("bar")
    foo.done("stop", "bar")
    foo.done("clone", "bar", "--name", "foo")
    foo.done("start", "foo")
    assert foo.inside("foo", f"hostname; cat {FILE}") == "foo\nkept"
    for before, now in zip((*identity, *copied), foo.identity("foo") * 2, strict=True):
        assert before != now
    foo.done("delete", "--purge", "bar", "foo")
    assert foo.kept_of("foo") == foo.kept_of("bar") == []
    assert foo.fabric.instances() == {}
