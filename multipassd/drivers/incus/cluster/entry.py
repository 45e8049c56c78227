"""What is known of one instance of the cluster's project, from an answer of Incus. Pure.

An answer has some ten thousand bytes for each instance, of which a few hundred are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address
from typing import Any, NamedTuple

from multipassd.drivers.incus.api.errors import shown
from multipassd.drivers.incus.cluster import owner_tag
from protocol.names import valid_member

RUNNING, STOPPED, FROZEN, ERROR = "Running", "Stopped", "Frozen", "Error"  # Incus' own words
VIRTUAL_MACHINE, CONTAINER = "virtual-machine", "container"
MAX_STATUS = 20  # letters
MAX_ADDRESSES = 16  # of one guest; a guest that is root makes as many as it likes
ROOT = "root"


class Card(NamedTuple):
    """A network card among its devices."""

    network: str  # of the cluster's, or a bridge of the members
    mac: str
    device: str = ""  # its name among the devices; empty for one that is to be made


class Entry(NamedTuple):
    """One instance, as the cluster shows it."""

    name: str
    status: str  # RUNNING, STOPPED, FROZEN, ERROR where its member is down; or a passing one
    kind: str  # VIRTUAL_MACHINE or CONTAINER
    location: str  # the member; empty on a server that is no cluster
    daemon: str  # its owner's tag
    stateful: bool  # stopped, with its memory saved
    unused: bool  # made of an image, and never started: it holds nothing of a user
    addresses: tuple[str, ...]  # IPv4 of its cards, in their order
    cards: tuple[Card, ...]
    cpus: str  # limits.cpu
    memory: str  # limits.memory
    record: str = ""  # what its service has published of it
    known: bool = True  # Incus tells its configuration, which it does not while its host is down


def entry_of(document: Any) -> Entry | None:
    """Of one item of `/1.0/instances?recursion=2`; None for what is none."""
    found = _mapping(document)
    name = _text(found.get("name"))
    if not name:
        return None
    config = _mapping(found.get("config"))
    down = found.get("status") == ERROR and not config  # each has keys of Incus' own
    known = isinstance(found.get("config"), dict) and not down
    cards = tuple(_cards(_mapping(found.get("devices"))))
    location = _text(found.get("location"))
    daemon = owner_tag.of(config, name)
    return Entry(
        name=name,
        status=shown(_text(found.get("status")), MAX_STATUS),
        kind=_text(found.get("type")),
        location=location if location != "none" and valid_member(location) else "",
        daemon=daemon,
        stateful=found.get("stateful") is True,
        unused=_never(found.get("last_used_at")) and bool(config.get(owner_tag.NEW)),
        addresses=_addresses(_mapping(found.get("state")), cards),
        cards=cards,
        cpus=_text(config.get("limits.cpu")),
        memory=_text(config.get("limits.memory")),
        record=_text(config.get(owner_tag.RECORD)) if daemon else "",
        known=known,
    )


def _never(time: Any) -> bool:
    """Incus' way of saying so."""
    return _text(time).startswith(("1970-01-01T00:00:00", "0001-01-01T00:00:00"))


def _cards(devices: Mapping[str, Any]) -> Iterator[Card]:
    for name in sorted(devices, key=lambda name: (len(name), name)):
        device = _mapping(devices[name])
        if device.get("type") == "nic":
            network = _text(device.get("network")) or _text(device.get("parent"))
            yield Card(network, _text(device.get("hwaddr")).lower(), name)


def _addresses(state: Mapping[str, Any], cards: tuple[Card, ...]) -> tuple[str, ...]:
    order = {card.mac: number for number, card in enumerate(cards)}
    found: list[tuple[int, str]] = []
    for network in map(_mapping, _mapping(state.get("network")).values()):
        number = order.get(_text(network.get("hwaddr")).lower())
        if number is None:
            continue  # a bridge that the guest has made, its loopback interface
        listed = network.get("addresses")
        for each in map(_mapping, listed if isinstance(listed, list) else ()):
            if each.get("family") == "inet" and each.get("scope") == "global":
                if address := _address(each.get("address")):
                    found.append((number, address))
    found.sort(key=lambda each: each[0])
    return tuple(address for _, address in found[:MAX_ADDRESSES])


def _address(value: Any) -> str:
    """It becomes a word of ssh's command line. Empty for what is no address of another host."""
    with suppress(AddressValueError):
        found = IPv4Address(_text(value))
        if not (found.is_loopback or found.is_multicast or found.is_unspecified):
            return str(found)
    return ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """Empty for what is no text; JSON can name halves of characters, which no UTF-8 has."""
    if not isinstance(value, str):
        return ""
    if not value.isascii():
        with suppress(UnicodeEncodeError):
            value.encode()
            return value
        return ""
    return value
