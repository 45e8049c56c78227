"""Bridges on ethernet devices that neither NetworkManager nor systemd-networkd manages, made by
iproute2: addresses and routes of the device move to the bridge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from multipassd.network import tools
from multipassd.network.bridge import exists
from multipassd.network.tools import NetworkFailure
from multipassd.network.uplinks.uplink import Uplink

ROUTE_WORDS = {
    "gateway": "via", "metric": "metric", "prefsrc": "src", "table": "table", "protocol": "proto",
}  # fmt: skip


@dataclass(frozen=True)
class KernelUplink(Uplink):
    """A bridge by iproute2, with what makes the device reachable."""

    key = "place"

    mac: str
    addresses: tuple[str, ...]  # as `ip address add` takes them
    routes: tuple[tuple[str, ...], ...]  # as `ip route replace` takes them, less the device

    @staticmethod
    def manages(device: str) -> bool:
        return True

    @classmethod
    def plan(cls, device: str, bridge: str) -> Self:
        """Raises NetworkFailure for a device that has its address by DHCP, too."""
        return cls._read(device, bridge, device)

    @classmethod
    def _read(cls, device: str, bridge: str, source: str) -> Self:
        """With the addresses and routes that `source`, one of the two, has now."""
        (found,) = tools.listed("ip", "-json", "address", "show", "dev", source)
        addresses = [each for each in found["addr_info"] if each["scope"] == "global"]
        if any(each["family"] == "inet" and each.get("dynamic") for each in addresses):
            raise NetworkFailure(
                f"{source} has its address by DHCP, whose client would not follow it to a bridge. "
                "Please make a bridge with this device in the host's network configuration (e.g. "
                "ifupdown's), and name that: `--network <bridge>`. Where NetworkManager or "
                "systemd-networkd keeps the device, its bridge is made for you."
            )
        kept = tuple(_address(each) for each in addresses if not each.get("dynamic"))
        return cls(device, bridge, found["address"], kept, _routes(source))

    def apply(self) -> None:
        tools.run(
            "ip", "link", "add", self.bridge, "address", self.mac, "type", "bridge",
            "stp_state", "0", "forward_delay", "0",
        )  # fmt: skip
        tools.run("ip", "link", "set", self.device, "master", self.bridge)
        tools.run("ip", "address", "flush", "dev", self.device, "scope", "global")
        for words in self._restoring(self.bridge):
            tools.run("ip", *words)

    def undo(self) -> None:
        """Goes as far as it can. Raises NetworkFailure with the first thing that failed."""
        failed: list[NetworkFailure] = []

        def attempt(*words: str) -> None:
            try:
                tools.run("ip", *words)
            except NetworkFailure as error:
                failed.append(error)

        if exists(self.bridge):
            attempt("link", "delete", self.bridge)
        if exists(self.device):
            attempt("link", "set", self.device, "nomaster", "up")
            for words in self._restoring(self.device):
                attempt(*words)
        if failed:
            raise failed[0]

    def current(self) -> Self | None:
        """With what the bridge has by now, which may be more than the device had."""
        return self._read(self.device, self.bridge, self.bridge) if exists(self.bridge) else None

    def _restoring(self, target: str) -> list[tuple[str, ...]]:
        """Commands that give addresses and routes to the device or the bridge. A route needs the
        addresses first, and the link up."""
        return [
            ("link", "set", target, "up"),
            *(("address", "replace", *each.split(), "dev", target) for each in self.addresses),
            *((_family(each), "route", "replace", *each, "dev", target) for each in self.routes),
        ]

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        addresses = tuple(fields["addresses"])
        routes = tuple(tuple(words) for words in fields["routes"])
        return cls(**{**fields, "addresses": addresses, "routes": routes})


def _address(entry: dict[str, Any]) -> str:
    text = f"{entry['local']}/{entry['prefixlen']}"
    return f"{text} brd {entry['broadcast']}" if "broadcast" in entry else text


def _routes(device: str) -> tuple[tuple[str, ...], ...]:
    """Routes to gateways before those through them. Raises NetworkFailure."""
    found: list[tuple[str, ...]] = []
    for family in ("-4", "-6"):
        shown = tools.listed("ip", "-json", family, "route", "show", "table", "all", "dev", device)
        found += [words for each in shown if (words := _route(each, family))]
    return tuple(sorted(found, key=lambda words: "via" in words))


def _route(entry: dict[str, Any], family: str) -> tuple[str, ...]:
    """Empty for a route that the kernel derives from addresses, or learns."""
    if entry.get("type", "unicast") != "unicast" or entry.get("protocol") in ("kernel", "ra"):
        return ()
    dst = entry["dst"]
    words = [("::/0" if family == "-6" else "0.0.0.0/0") if dst == "default" else dst]
    for key, word in ROUTE_WORDS.items():
        if key in entry:
            words += [word, str(entry[key])]
    if "onlink" in entry.get("flags", ()):
        words.append("onlink")
    return tuple(words)


def _family(route: tuple[str, ...]) -> str:
    return "-6" if ":" in route[0] else "-4"
