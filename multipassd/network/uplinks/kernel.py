"""Making an ethernet device a member of a bridge, so that instances can be on its wire, and back;
by ourselves, where neither NetworkManager nor systemd-networkd keeps the device. Its addresses and
routes move to the bridge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multipassd.network import tools
from multipassd.network.bridge import exists
from multipassd.network.interfaces import MAX_NAME
from multipassd.network.tools import NetworkFailure

PREFIX = "br-"  # 1.16's


@dataclass(frozen=True)
class Place:
    """What a device has that makes it reachable."""

    mac: str
    addresses: tuple[str, ...]  # as `ip address add` takes them
    routes: tuple[tuple[str, ...], ...]  # as `ip route replace` takes them, less the device


def bridge_name(device: str) -> str:
    """Raises NetworkFailure for a name that leaves no room."""
    name = PREFIX + device
    if len(name) > MAX_NAME:
        raise NetworkFailure(
            f"A bridge for {device} would have a name longer than {MAX_NAME} letters. Please make "
            "one yourself, and name that as the network."
        )
    return name


def enclose(device: str, place: Place) -> None:
    """Make it a member of its bridge. Raises NetworkFailure; then `release` it."""
    name = bridge_name(device)
    tools.run(
        "ip", "link", "add", name, "address", place.mac, "type", "bridge", "stp_state", "0",
        "forward_delay", "0",
    )  # fmt: skip
    tools.run("ip", "link", "set", device, "master", name)
    _move(place, device, name)


def release(name: str, device: str, place: Place) -> None:
    """The device is on its own again, with what `place` says. Goes as far as it can. Raises
    NetworkFailure with the first thing that failed."""
    failed: list[NetworkFailure] = []

    def attempt(*words: str) -> None:
        try:
            tools.run("ip", *words)
        except NetworkFailure as error:
            failed.append(error)

    if exists(name):
        attempt("link", "delete", name)
    if exists(device):
        attempt("link", "set", device, "nomaster", "up")
        for words in _restoring(place, device):
            attempt(*words)
    if failed:
        raise failed[0]


def _move(place: Place, device: str, name: str) -> None:
    tools.run("ip", "address", "flush", "dev", device, "scope", "global")
    for words in _restoring(place, name):
        tools.run("ip", *words)


def _restoring(place: Place, device: str) -> list[tuple[str, ...]]:
    """What gives it to the device. A route needs the addresses first, and the device up."""
    return [
        ("link", "set", device, "up"),
        *(("address", "replace", *one.split(), "dev", device) for one in place.addresses),
        *((_family(one), "route", "replace", *one, "dev", device) for one in place.routes),
    ]


def place(device: str) -> Place:
    """Raises NetworkFailure."""
    (found,) = tools.listed("ip", "-json", "address", "show", "dev", device)
    addresses = [one for one in found["addr_info"] if one["scope"] == "global"]
    if any(one["family"] == "inet" and one.get("dynamic") for one in addresses):
        raise NetworkFailure(
            f"{device} has its address by DHCP, whose client would not follow it to a bridge. "
            "Please make a bridge with this device in the host's network configuration (e.g. "
            "ifupdown's), and name that: `--network <bridge>`. Where NetworkManager or "
            "systemd-networkd keeps the device, its bridge is made for you."
        )
    kept = tuple(_address(one) for one in addresses if not one.get("dynamic"))
    routes: list[tuple[str, ...]] = []
    for family in ("-4", "-6"):
        shown = tools.listed("ip", "-json", family, "route", "show", "table", "all", "dev", device)
        routes += [words for one in shown if (words := _route(one, family))]
    # Ways to gateways before what leads through them.
    return Place(found["address"], kept, tuple(sorted(routes, key=lambda words: "via" in words)))


def _address(entry: dict[str, Any]) -> str:
    text = f"{entry['local']}/{entry['prefixlen']}"
    return f"{text} brd {entry['broadcast']}" if "broadcast" in entry else text


def _route(entry: dict[str, Any], family: str) -> tuple[str, ...]:
    """Nothing for one that the kernel makes of the addresses, or learns."""
    if entry.get("type", "unicast") != "unicast" or entry.get("protocol") in ("kernel", "ra"):
        return ()
    dst = entry["dst"]
    words = [("::/0" if family == "-6" else "0.0.0.0/0") if dst == "default" else dst]
    keys = {
        "gateway": "via", "metric": "metric", "prefsrc": "src", "table": "table",
        "protocol": "proto",
    }  # fmt: skip
    for key, word in keys.items():
        if key in entry:
            words += [word, str(entry[key])]
    if "onlink" in entry.get("flags", ()):
        words.append("onlink")
    return tuple(words)


def _family(route: tuple[str, ...]) -> str:
    return "-6" if ":" in route[0] else "-4"
