"""What Incus is asked for where a virtual machine is wanted."""

from __future__ import annotations

from pathlib import Path

from multipassd.cloudinit import seed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.drivers.incus import requests
from multipassd.drivers.interface import Link, Machine

GIB = 1 << 30
CONTAINER, VIRTUAL_MACHINE = "container", "virtual-machine"


def machine(name: str, memory: int = GIB) -> Machine:
    link = Link(mac="52:54:00:00:00:01")
    return Machine(name, Path("/nowhere"), 1, memory, {}, (link,))


def test_a_virtual_machine_boots_what_is_not_signed_and_can_be_suspended() -> None:
    config = requests.create(machine("foo"), VIRTUAL_MACHINE, "f", "d", {})["config"]
    assert config["security.secureboot"] == "false"
    assert config["migration.stateful"] == "true"
    assert "security.secureboot" not in requests.config(machine("foo"), CONTAINER, "d")


def test_room_for_memory_grows_with_it_and_never_shrinks() -> None:
    root = requests.root_device(VIRTUAL_MACHINE, "default", 4 * GIB, GIB)
    assert int(root["size.state"]) > GIB
    grown = requests.with_room(root, 2 * GIB)
    assert int(grown["size.state"]) > 2 * GIB
    assert requests.with_room(grown, GIB) == grown
    assert grown | {"size.state": root["size.state"]} == root
    administrators = {**root, "size.state": "8GiB"}
    assert requests.with_room(administrators, 16 * GIB) == administrators
    assert "size.state" not in requests.root_device(CONTAINER, "default", 4 * GIB, GIB)


def test_all_of_the_seed_is_in_the_config_and_comes_back_from_there() -> None:
    card = Interface(mac="52:54:00:00:00:01")
    texts = seed.files(Seed("foo", "foo-1", "#cloud-config\n{}\n", (card,)))
    config = requests.seed_config(texts)
    assert config["user.meta-data"].startswith("instance-id: foo-1\n")
    assert requests.files_of_config(config) == texts


def test_a_copy_has_none_of_its_sources_tags_and_limits_but_boots_as_it_does() -> None:
    source = {
        "name": "foo", "type": VIRTUAL_MACHINE, "architecture": "x86_64",
        "config": {"security.secureboot": "true", "limits.cpu": "8", "volatile.uuid": "1"},
    }  # fmt: skip
    config = requests.copy(machine("bar"), source, "d", {})["config"]
    assert config["limits.cpu"] == "1" and "volatile.uuid" not in config
    assert config["security.secureboot"] == "true"
