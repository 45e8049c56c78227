"""IPv4 forwarding by device: switched on for the bridge and for the devices of default routes only,
so that a host that was no router does not become one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

IPV4 = Path("/proc/sys/net/ipv4")
ROUTES = Path("/proc/net/route")


def everywhere() -> bool:
    """Do all devices forward already? Then there is nothing to switch on or off."""
    return (IPV4 / "ip_forward").read_text().strip() == "1"


def ways_out() -> set[str]:
    """The devices of default routes."""
    lines = [line.split() for line in ROUTES.read_text().splitlines()[1:]]
    return {line[0] for line in lines if line[1] == line[7] == "00000000"}


def closed(devices: Iterable[str]) -> set[str]:
    """Devices that do not forward. Raises OSError."""
    found = set()
    for device in devices:
        with suppress(FileNotFoundError):  # a device may be removed at any moment
            if _switch(device).read_text().strip() != "1":
                found.add(device)
    return found


def open_for(devices: Iterable[str]) -> None:
    """Switch forwarding on. Raises OSError."""
    for device in devices:
        with suppress(FileNotFoundError):
            _switch(device).write_text("1\n")


def close_for(devices: Iterable[str]) -> None:
    """Switch forwarding off. Never fails."""
    if everywhere():
        return  # an administrator has switched on all of them since
    for device in devices:
        with suppress(OSError):
            _switch(device).write_text("0\n")


def _switch(device: str) -> Path:
    return IPV4 / "conf" / device / "forwarding"
