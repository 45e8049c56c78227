"""Instances' settings, by the real commands on instances that were never launched."""

from __future__ import annotations

import json
import subprocess

import pytest

from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record import Network
from multipassd.instances.setting_keys import read_key
from tests.conftest import DaemonFactory
from tools import records
from tools.daemon import Daemon
from tools.sandbox import Sandbox

WRONG_SIZE = (
    "{} is not a valid memory size - need a non-negative integer (in base 10) or a "
    "decimal followed by K, M, or G (e.g. 1234B, 42MiB, 0.5G)"
)
CPUS = "Need a positive integer (in decimal format) of minimum 1"
BOOLEAN = 'Invalid value, try "true" or "false"'
NO_NETWORK = (
    'You have to `multipass set local.bridged-network=<name>` to use the "bridged" shortcut.'
)


@pytest.fixture
def service(daemon: DaemonFactory, sandbox: Sandbox) -> Daemon:
    """foo is stopped and has a card on eth9; gone is deleted, idle suspended."""
    networks = (Network(name="eth9", mac="52:54:00:aa:aa:aa"),)
    records.put(sandbox, records.make("foo", 1, disk=1 << 30, networks=networks))
    records.put(sandbox, records.make("gone", 2, deleted=True))
    records.put(sandbox, records.make("idle", 3, phase=Phase.SUSPENDED))
    return daemon(sandbox=sandbox)


def get(service: Daemon, key: str) -> str:
    done = service.cli("alice", "get", key)
    return done.stdout.rstrip("\n") if done.returncode == 0 else _failure(done, "get")


def change(service: Daemon, pair: str) -> str:
    done = service.cli("alice", "set", pair)
    return "" if done.returncode == 0 else _failure(done, "set")


def _failure(done: subprocess.CompletedProcess[str], command: str) -> str:
    assert done.returncode == 2
    return done.stderr.rstrip("\n").removeprefix(f"{command} failed: ")


def test_keys_of_all_instances_come_sorted_among_the_others(service: Daemon) -> None:
    assert service.cli("alice", "get", "--keys").stdout.split() == [
        "client.primary-name", "local.bridged-network", "local.driver",
        "local.first-client", "local.foo.bridged", "local.foo.cpus",
        "local.foo.disk", "local.foo.memory",
        "local.gone.bridged", "local.gone.cpus", "local.gone.disk", "local.gone.memory",
        "local.idle.bridged", "local.idle.cpus", "local.idle.disk", "local.idle.memory",
        "local.image.mirror", "local.incus.network", "local.incus.pool", "local.incus.project",
        "local.incus.shared", "local.incus.target", "local.incus.token", "local.incus.type",
        "local.passphrase", "local.passphrase-role",
        "local.privileged-mounts", "local.refuse-expired", "local.shared-ssh-key",
    ]  # fmt: skip


def test_values_are_shown_for_people(service: Daemon) -> None:
    wanted = {"cpus": "1", "memory": "1.0GiB", "disk": "1.0GiB", "bridged": NO_NETWORK}
    assert {name: get(service, f"local.foo.{name}") for name in wanted} == wanted
    assert get(service, "local.gone.disk") == "5.0GiB", "a deleted one, too"
    change(service, "local.bridged-network=eth9")
    assert get(service, "local.foo.bridged") == "true"
    assert get(service, "local.gone.bridged") == "false"


def test_what_is_changed_is_kept_over_a_restart_and_the_disk_grows(service: Daemon) -> None:
    for pair in ("cpus=3", "memory=2.5G", "disk=3G"):
        assert change(service, f"local.foo.{pair}") == ""
    service.restart()
    shown = [get(service, f"local.foo.{name}") for name in ("cpus", "memory", "disk")]
    assert shown == ["3", "2.5GiB", "3.0GiB"]
    disk = records.registry(service.sandbox).place("foo") / "disk.qcow2"
    told = subprocess.check_output(["qemu-img", "info", "--output=json", str(disk)])
    assert json.loads(told)["virtual-size"] == 3 << 30


def test_the_present_value_again_is_no_error(service: Daemon) -> None:
    change(service, "local.bridged-network=eth9")
    for pair in ("cpus=1", "memory=1024M", "disk=1G", "bridged=yes"):
        assert change(service, f"local.foo.{pair}") == ""
    assert change(service, "local.bridged-network=eth8") == ""
    assert change(service, "local.foo.bridged=false") == "", "it is not bridged to that one"


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ("cpus=0", CPUS),
        ("cpus=-1", CPUS),
        ("cpus=0x2", CPUS),
        ("cpus=", CPUS),
        ("cpus=" + "9" * 30, CPUS),
        ("cpus=100000", "More than 255 CPUs are not possible"),
        ("memory=127M", "Memory less than 128M minimum not allowed"),
        ("memory=0", "Need a positive size."),
        ("memory=many", WRONG_SIZE.format("many")),
        ("disk=0G", "Need a positive size."),
        ("disk=1023M", "Disk can only be expanded"),
        ("memory=1,5G", WRONG_SIZE.format("1,5G") + "\nDid you mean 1.5G?"),
        ("disk=1T", WRONG_SIZE.format("1T") + "\nDid you mean 1024G?"),
        ("disk=2.5", WRONG_SIZE.format("2.5") + "\nDid you mean 2.5G?"),
        ("bridged=perhaps", BOOLEAN),
        ("bridged=false", "Removing the bridged network is currently not supported"),
    ],
)
def test_a_wrong_value_is_named_and_changes_nothing(service: Daemon, pair: str, why: str) -> None:
    change(service, "local.bridged-network=eth9")
    before = records.registry(service.sandbox)
    before.load()
    assert change(service, f"local.foo.{pair}") == f"Invalid setting 'local.foo.{pair}': {why}"
    after = records.registry(service.sandbox)
    after.load()
    assert after.all() == before.all()


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ("disk=" + "9" * 18 + "G", "is larger than the host's whole file system at "),
        ("memory=" + "9" * 9 + "G", "of memory is more than this host has, which is "),
    ],
)
def test_more_than_the_host_has_is_a_sentence(service: Daemon, pair: str, why: str) -> None:
    assert why in change(service, f"local.foo.{pair}")


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        ("gone", "Instance is deleted"),
        ("idle", "Instance must be stopped for modification"),
        ("nobody", "No such instance"),
    ],
)
def test_who_can_not_be_changed_is_told_why(service: Daemon, instance: str, reason: str) -> None:
    for pair in ("cpus=2", "memory=2G", "disk=9G", "bridged=true"):
        assert change(service, f"local.{instance}.{pair}") == (
            f"Cannot update instance settings; instance: {instance}; reason: {reason}"
        )


def test_what_does_not_exist_can_not_be_asked_for(service: Daemon) -> None:
    assert get(service, "local.nobody.cpus") == (
        "Cannot obtain instance settings; instance: nobody; reason: No such instance"
    )
    for key in ("local.foo.colour", "local.cpus", "local..cpus"):
        assert get(service, key) == f"Unrecognized settings key: '{key}'"


def test_a_quota_is_no_instances_setting(service: Daemon) -> None:
    for kind, value in (("cpus", "3"), ("memory", "1GiB"), ("disk", "2GiB")):
        assert change(service, f"local.quota.user.{kind}={value}") == ""
        assert get(service, f"local.quota.user.{kind}") == value


def test_keys_are_read_from_their_end() -> None:
    key = read_key("local.a.b.cpus")
    assert key is not None
    assert (key.instance, key.property) == ("a.b", "cpus")
    assert read_key("local.image.mirror") is None
    assert read_key("local.quota.user.memory") is None
    assert read_key("client.foo.cpus") is None
