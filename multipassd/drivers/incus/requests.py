"""The bodies of requests to Incus for a machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from multipassd.cloudinit import seed as seed_texts
from multipassd.drivers.incus.cluster import owner_tag
from multipassd.drivers.incus.cluster.entry import VIRTUAL_MACHINE, Card
from multipassd.drivers.interface import Link, Machine

SEED_DEVICE = "seed"
NETWORK = "network-config"
STATE_SIZE = "size.state"
SEED_NAMES = seed_texts.NAMES
# By the seed's names: the config keys that Incus makes a virtual machine's seed disk of, at each of
# its starts. Meta data are behind lines of Incus' own, with the name as the instance id: of a key
# that comes twice cloud-init takes the last. The name alone would not do: a clone of a clone, under
# the name of the first instance, would keep that one's SSH host keys, as its disk has been through
# a first boot of that name.
SEED_KEYS = {
    "meta-data": "user.meta-data",
    "user-data": "cloud-init.user-data",
    "vendor-data": "cloud-init.vendor-data",
    "network-config": "cloud-init.network-config",
}
# By kind. A virtual machine's memory can be kept (a stateful stop), and it boots what an image has,
# signed or not, as on QEMU.
CONFIG: Mapping[str, Mapping[str, str]] = {
    VIRTUAL_MACHINE: {"migration.stateful": "true", "security.secureboot": "false"},
}


def limits(machine: Machine) -> dict[str, str]:
    """The config keys of its processors and of its memory, in bytes."""
    return {"limits.cpu": str(machine.cpus), "limits.memory": str(machine.memory)}


def cards(links: Sequence[Link], usual: str) -> tuple[Card, ...]:
    """`usual`: the network of cards that name none."""
    return tuple(Card(link.network or usual, link.mac) for link in links)


def missing(wanted: Sequence[Card], found: Sequence[Card]) -> list[Card]:
    """Those that it has not yet. One that it has stays as it is, also if the usual network is
    another by now, or another program has connected it elsewhere."""
    known = {card.mac for card in found}
    return [card for card in wanted if card.mac not in known]


def card_devices(
    wanted: Sequence[Card], managed: Mapping[str, bool], found: Sequence[Card] = ()
) -> dict[str, Any]:
    """`managed`: by the network's name, does Incus manage it? Else it is a bridge of members.
    `found`: the cards that it has besides."""
    devices = {}
    taken = {card.device for card in found}
    free = (name for name in map("eth{}".format, count()) if name not in taken)
    for name, card in zip(free, wanted, strict=False):
        where = (
            {"network": card.network}
            if managed.get(card.network, True)
            else {"nictype": "bridged", "parent": card.network}
        )
        devices[name] = {"type": "nic", "name": name, "hwaddr": card.mac, **where}
    return devices


def root_device(kind: str, pool: str, size: int, memory: int) -> dict[str, str]:
    """`size`, `memory`: bytes."""
    device = {"type": "disk", "path": "/", "pool": pool, "size": str(size)}
    return with_room(device, memory) if kind == VIRTUAL_MACHINE else device


def with_room(root: Mapping[str, str], memory: int) -> dict[str, str]:
    """The root device of a virtual machine, with room beside the disk for so many bytes of memory:
    with less Incus does not suspend it. It is never made smaller, which not every pool can do; what
    an administrator has set with a unit stays."""
    now = str(root.get(STATE_SIZE, "0"))
    if not now.isdecimal():
        return dict(root)
    return {**root, STATE_SIZE: str(max(int(now), memory + (memory >> 2)))}


def create(
    machine: Machine, kind: str, fingerprint: str, daemon: str, devices: Mapping[str, Any]
) -> dict[str, Any]:
    """A new instance of an image that the project has."""
    return {
        "name": machine.name,
        "type": kind,
        "source": {"type": "image", "fingerprint": fingerprint},
        "config": {**config(machine, kind, daemon), owner_tag.NEW: "true"},
        "devices": {**devices, **_seed_device(kind)},
        "profiles": [],
    }


def config(machine: Machine, kind: str, daemon: str) -> dict[str, str]:
    """The config keys of a new instance; `kind`: VIRTUAL_MACHINE or CONTAINER."""
    return {**CONFIG.get(kind, {}), **owner_tag.tags(daemon, machine.name), **limits(machine)}


def copy(
    machine: Machine, source: Mapping[str, Any], daemon: str, devices: Mapping[str, Any]
) -> dict[str, Any]:
    """A new instance with another's disk, without its snapshots. `source`: the other, as Incus
    shows it."""
    kind = str(source.get("type"))
    kept = {
        key: value
        for key, value in source.get("config", {}).items()
        if not key.startswith(("volatile.", owner_tag.PREFIX, "limits."))
    }
    return {
        "name": machine.name,
        "type": kind,
        "architecture": source.get("architecture"),
        "source": {"type": "copy", "source": source.get("name"), "instance_only": True},
        "config": {
            **config(machine, kind, daemon),
            **kept,
            owner_tag.NEW: "",
            owner_tag.RECORD: "",  # Incus adds what the source has
        },
        "devices": {**devices, **_seed_device(kind)},
        "profiles": [],
    }


def files_of_config(config: Mapping[str, Any]) -> dict[str, bytes]:
    """The seed of a virtual machine."""
    return {file: str(config.get(key, "")).encode() for file, key in SEED_KEYS.items()}


def seed_config(files: Mapping[str, bytes]) -> dict[str, str]:
    """For a virtual machine. Pure; `files`: the seed's, by their names there."""
    return {key: files[name].decode() for name, key in SEED_KEYS.items() if name in files}


def seed_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """For a container: by their paths in it."""
    texts = {name: files[name] for name in seed_texts.NAMES if name in files}
    if NETWORK in texts:
        texts[NETWORK] = _by_names(texts[NETWORK])
    return {f"{SEED_PLACE}/{name}": text for name, text in texts.items()}


def _by_names(network: bytes) -> bytes:
    """The same cards by their names in the container, as `card_devices` gives them. By a MAC
    address netplan means the one that a card was made with, which a container's has not."""
    import yaml  # as in cloudinit/: only a launch needs it

    config = yaml.safe_load(network)
    named = {
        f"eth{number}": {key: value for key, value in card.items() if key != "match"}
        for number, card in enumerate(config["ethernets"].values())
    }
    return seed_texts.as_yaml({**config, "ethernets": named})


SEED_PLACE = "/var/lib/cloud/seed/nocloud"


def _seed_device(kind: str) -> dict[str, Any]:
    if kind != VIRTUAL_MACHINE:
        return {}
    return {SEED_DEVICE: {"type": "disk", "source": "cloud-init:config"}}
