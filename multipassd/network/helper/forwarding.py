"""Which devices pass packets on. Opened for the bridge and for the devices that lead out, and for
no other: a host that was no router must not become one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

IPV4 = Path("/proc/sys/net/ipv4")
ROUTES = Path("/proc/net/route")


def everywhere() -> bool:
    """Does the host forward anyway? Then there is nothing to open, nor to close."""
    return (IPV4 / "ip_forward").read_text().strip() == "1"


def ways_out() -> set[str]:
    """The devices of default routes."""
    lines = [line.split() for line in ROUTES.read_text().splitlines()[1:]]
    return {line[0] for line in lines if line[1] == line[7] == "00000000"}


def closed(devices: Iterable[str]) -> set[str]:
    """Those that do not forward. Raises OSError."""
    found = set()
    for device in devices:
        with suppress(FileNotFoundError):  # a way out may go at any moment
            if _switch(device).read_text().strip() != "1":
                found.add(device)
    return found


def open_for(devices: Iterable[str]) -> None:
    """Raises OSError."""
    for device in devices:
        with suppress(FileNotFoundError):
            _switch(device).write_text("1\n")


def close_for(devices: Iterable[str]) -> None:
    if everywhere():
        return  # somebody else has opened all of them since
    for device in devices:
        with suppress(OSError):
            _switch(device).write_text("0\n")


def _switch(device: str) -> Path:
    return IPV4 / "conf" / device / "forwarding"
