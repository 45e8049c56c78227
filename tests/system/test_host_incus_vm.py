"""A virtual machine on an Incus cluster, emulated, from launch to purge: by tests of instances on
QEMU where these are the same, and what is Incus' own. See tests/system/incus_emulated.py."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.instances import test_life, test_uefi
from tests.system.host import Host
from tests.system.incus_cluster import PROJECT, cluster, incus_base
from tests.system.incus_emulated import EmulatingMember, missing
from tests.system.incus_site import VirtualMachineSite
from tools import roots

pytestmark = [pytest.mark.host, pytest.mark.very_slow]


@pytest.fixture(scope="module")
def base() -> Iterator[Host]:
    if why := missing():
        pytest.skip(why)
    try:
        with incus_base("incus-vm") as made:
            yield made
    except roots.RootError as error:
        pytest.skip(f"a host with Incus can't be made here: {error}")


@pytest.fixture(scope="module")
def foo(base: Host) -> Iterator[VirtualMachineSite]:
    """A site where `foo` runs."""
    with cluster(base, kind=EmulatingMember) as fabric:
        fabric.route_to_guests()
        site = VirtualMachineSite(fabric)
        with site.running():
            size = test_uefi.SIZE
            given = ("launch", "--name", "foo", *size, "--cloud-init", "-", site.url)
            launched = site.cli(*given, input=test_life.CLOUD_INIT)
            log = site.daemon.log_text()[-3000:]
            assert launched.stdout.endswith("Launched: foo\n"), (launched, log)
            yield site


# In the order of their story.
test_cloud_init_did_as_it_was_told = test_life.test_cloud_init_did_as_it_was_told


def test_it_is_a_virtual_machine_with_an_address_that_is_reached(foo: VirtualMachineSite) -> None:
    there = foo.fabric.instances()["foo"]
    assert there["type"] == "virtual-machine"
    info = json.loads(foo.done("info", "foo", "--format", "json"))["info"]["foo"]
    assert info["release"] == "Tiny 1.0 LTS"
    assert info["ipv4"][0] in foo.inside("foo", "ip address show dev eth0")
    assert "efi" in foo.inside("foo", "ls /sys/firmware").split()
    total = int(foo.inside("foo", "df -k / | awk 'END { print $2 }'"))
    assert total > 800 << 10


test_guests_keep_running_while_the_daemon_restarts_and_is_killed = (
    test_life.test_guests_keep_running_while_the_daemon_restarts_and_is_killed
)
test_a_suspended_guest_goes_on_where_it_was = test_life.test_a_suspended_guest_goes_on_where_it_was


def test_a_paused_one_is_said_to_be_and_is_stopped_by_force_alone(foo: VirtualMachineSite) -> None:
    first = foo.fabric.member(1)
    first.run("incus", "pause", "foo", "--project", PROJECT)
    foo.wait_for(lambda: foo.state("foo") == "Unknown", "the pause")
    refused = foo.cli("stop", "foo")
    assert refused.returncode == 2 and "it is paused" in refused.stderr, refused
    first.run("incus", "resume", "foo", "--project", PROJECT)
    foo.wait_for(lambda: foo.state("foo") == "Running", "the end of the pause")
    assert foo.inside("foo", "hostname") == "foo"
    first.run("incus", "pause", "foo", "--project", PROJECT)
    foo.wait_for(lambda: foo.state("foo") == "Unknown", "the pause")
    foo.done("stop", "--force", "foo")
    assert foo.state("foo") == "Stopped"


def test_one_whose_memory_has_grown_can_be_suspended(foo: VirtualMachineSite) -> None:
    foo.done("stop", "foo")
    for pair in ("cpus=2", "memory=512M", "disk=2G"):
        foo.done("set", f"local.foo.{pair}")
    foo.done("start", "foo")
    before = foo.boot_id("foo")
    assert foo.inside("foo", "nproc") == "2"
    foo.done("suspend", "foo")
    foo.done("start", "foo")
    assert foo.boot_id("foo") == before
