"""Which way of making a bridge applies to a device: the only module that knows all of them."""

from __future__ import annotations

from typing import Any

from multipassd.network.uplinks.kernel import KernelUplink
from multipassd.network.uplinks.network_manager import NetworkManagerUplink
from multipassd.network.uplinks.networkd import NetworkdUplink
from multipassd.network.uplinks.uplink import Uplink

# In the order in which they are asked; the kernel's takes any device.
WAYS: tuple[type[Uplink], ...] = (NetworkManagerUplink, NetworkdUplink, KernelUplink)


def plan(device: str, bridge: str) -> Uplink:
    """By the program that manages the device. Raises NetworkFailure."""
    return next(way for way in WAYS if way.manages(device)).plan(device, bridge)


def to_json(uplink: Uplink | None) -> dict[str, Any]:
    """A field for each way; None in all but the one that applies."""
    return {way.key: uplink.to_json() if isinstance(uplink, way) else None for way in WAYS}


def from_json(entry: dict[str, Any]) -> Uplink | None:
    """Of a whole entry of the record. Raises KeyError, TypeError."""
    found = None
    for way in WAYS:
        if fields := entry.get(way.key):
            # Earlier versions left these out of the kernel's.
            names = {"device": entry["device"], "bridge": entry["bridge"]}
            found = way.from_json({**names, **fields})
    return found
