"""Bridges on ethernet devices that systemd-networkd manages, as on servers with netplan, made by
files of our own that sort before the device's.

The bridge has the device's MAC address and all that its file and drop-ins say about addresses, and
tells a DHCP server the same identity, so that it gets the same one. The files are in /run, so a
boot removes them, also after a power cut. The device's own files are never changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Self

from multipassd.network import bridge as bridges
from multipassd.network import tools
from multipassd.network.interfaces import NET
from multipassd.network.tools import NetworkFailure
from multipassd.network.uplinks.addresses import WAIT_SECONDS, addresses, all_there, until
from multipassd.network.uplinks.networkd_files import (
    ADDRESSING,
    MATCH,
    NETWORK,
    logical_lines,
    sections,
)
from multipassd.network.uplinks.uplink import Uplink
from multipassd.system import log
from multipassd.system.files import read_regular, write_atomically

PLACE = Path("/run/systemd/network")
# The first file by name that matches a device is its own: this is before netplan's 10-, and all
# others that begin with two digits.
PREFIX = "0-multipass-"
MODE = 0o644  # networkd has a user of its own; what is in it `networkctl status` tells everybody
MAX_SIZE = 1 << 20
UNIT = "systemd-networkd"
CONFIGURED = "configured"
UNKEPT = ("unmanaged", "linger", None)
IAID_AND_DUID = 255  # RFC 4361's type of a client identifier

# Of the section Network: what the device is part of, or what is made of it.
OTHERS = (
    "bridge", "bond", "vrf", "batmanadvanced", "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap",
    "vxlan", "tunnel", "xfrm", "macsec",
)  # fmt: skip
# Where a wire's login, 802.1X, leaves something; the bridge could not log in.
LOGINS = ("/run/wpa_supplicant/{device}", "/run/netplan/wpa-{device}.conf")

BY_HAND = (
    "Please make a bridge with it in the host's network configuration, and name that as the "
    "network."
)

_log = log.get("network")


@dataclass(frozen=True)
class NetworkdUplink(Uplink):
    """A bridge by three files of systemd-networkd: their content. Undoing needs only their
    names."""

    key = "files"

    netdev: str
    network: str  # the bridge's
    port: str  # the device's

    @staticmethod
    def manages(device: str) -> bool:
        import shutil  # slow to import, and rarely needed

        if shutil.which("networkctl", path=tools.PATH) is None:
            return False
        try:
            return _status(device).get("AdministrativeState") not in UNKEPT
        except NetworkFailure:  # it does not run
            return False

    @classmethod
    def plan(cls, device: str, bridge: str) -> Self:
        status = _settled(device)
        lines = [line for path in _own_files(device, status) for line in _logical_lines(path)]
        _refuse_what_cannot_move(device, lines)
        moving = sections(lines, ADDRESSING)
        staying = sections(lines, (MATCH, *ADDRESSING), others=True)
        mac = ":".join(f"{byte:02x}" for byte in status["HardwareAddress"])
        return cls(
            device,
            bridge,
            _text(
                *("[NetDev]", f"Name={bridge}", "Kind=bridge", f"MACAddress={mac}"),
                *("[Bridge]", "STP=no", "ForwardDelaySec=0"),
            ),
            _text("[Match]", f"Name={bridge}", *moving, *_identity(status)),
            _text("[Match]", f"Name={device}", *staying, *_membership(bridge)),
        )

    def apply(self) -> None:
        before = addresses(self.device)
        texts = (self.netdev, self.network, self.port)
        try:
            for path, text in zip(self._paths, texts, strict=True):
                write_atomically(path, text.encode(errors="surrogateescape"), MODE)
        except OSError as error:
            raise NetworkFailure(f"{PLACE} can't be written to: {error.strerror}.") from None
        _networkctl("reload")  # which configures each device whose file is another now
        _until(
            lambda: _configured(self.bridge) and all_there(before, addresses(self.bridge)),
            f"{self.device} did not get its address back on a bridge",
        )

    def undo(self) -> None:
        try:
            for path in reversed(self._paths):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise NetworkFailure(f"{error.filename} can't be removed: {error.strerror}.") from None
        had = addresses(self.bridge)
        if bridges.exists(self.bridge):
            tools.run("ip", "link", "delete", self.bridge)
        try:
            _networkctl("reload")
        except NetworkFailure:
            if self.manages(self.device):
                raise
            return  # it does not run; its next start reads the files that are left
        if not self.manages(self.device):
            return
        try:
            _until(
                lambda: (
                    _configured(self.device)
                    and not self._is_port()
                    and all_there(had, addresses(self.device))
                ),
                f"{self.device} has not all of its addresses yet",
            )
        except NetworkFailure as error:  # nothing of ours is in its way any longer
            _log.error("%s systemd-networkd goes on trying.", error)

    @property
    def _paths(self) -> tuple[Path, Path, Path]:
        """Of the three files, in the order in which they are written."""
        return (
            _path(self.bridge, "netdev"),
            _path(self.bridge, "network"),
            _path(self.device, "network"),
        )

    def _is_port(self) -> bool:
        """Does networkd still configure the device by our file, which it remembers until it is
        reloaded?"""
        return bool(_status(self.device).get("NetworkFile") == str(_path(self.device, "network")))


# -- the device's own files -----------------------------------------------------------------------


def _logical_lines(path: Path) -> list[str]:
    """The file's settings, one a line. Raises NetworkFailure."""
    try:
        text = read_regular(path.resolve(), MAX_SIZE).decode(errors="surrogateescape")
    except OSError as error:
        raise NetworkFailure(f"{path} can't be read: {error.strerror}.") from None
    return logical_lines(text)


def _settled(device: str) -> dict[str, Any]:
    """Its status once it has what its files say. Raises NetworkFailure."""
    with suppress(NetworkFailure):  # it may be configuring it, as at boot
        _until(lambda: _configured(device), "")
    status = _status(device)
    if status.get("AdministrativeState") != CONFIGURED or "NetworkFile" not in status:
        raise NetworkFailure(
            f"{device} is not configured now, says systemd-networkd (`networkctl status "
            f"{device}`). Please see to that, then try again."
        )
    return status


def _own_files(device: str, status: dict[str, Any]) -> list[Path]:
    """In the order in which they apply. Raises NetworkFailure."""
    if "NetworkFileDropins" not in status:
        raise NetworkFailure(
            f"This systemd-networkd does not tell all files that {device} is configured by, as "
            f"older ones don't. {BY_HAND}"
        )
    own = Path(status["NetworkFile"])
    if own.name <= _path(device, "network").name:
        raise NetworkFailure(
            f"{own} comes before any file of Multipass's. Please give it a name that begins with "
            "two digits, as 10-, then try again."
        )
    return [own, *map(Path, status["NetworkFileDropins"] or ())]


def _refuse_what_cannot_move(device: str, lines: list[str]) -> None:
    """Raises NetworkFailure."""
    if others := _others(device, lines):
        raise NetworkFailure(
            f"{device} is part of another device, or others are made of it ({others}), which its "
            f"bridge could not take over. {BY_HAND}"
        )
    if any(Path(each.format(device=device)).exists() for each in LOGINS):
        raise NetworkFailure(
            f"{device} logs in to its network (802.1X), which its bridge could not do. Please "
            "connect the instance to another device."
        )


def _others(device: str, lines: list[str]) -> str:
    """Other devices that are stacked on it or under it, or the settings that say so."""
    place = NET / device
    found = [path.name.removeprefix("upper_") for path in place.glob("upper_*")]
    for line in sections(lines, (NETWORK,)):
        key, _, value = line.partition("=")
        if key.strip().lower() in OTHERS and value.strip():
            found.append(line)
    return ", ".join(found)


def _identity(status: dict[str, Any]) -> list[str]:
    """The settings that give the bridge the device's identity for a DHCP server, which is by
    default made of the device's name. The same address is requested, too, because networkd releases
    it when it leaves the device; it is not released when networkd leaves the bridge, because the
    device gets it back then."""
    dhcp = status.get("DHCPv4Client") or {}
    kind, *identifier = dhcp.get("ClientIdentifier") or [0]
    iaid = []
    if kind == IAID_AND_DUID:
        iaid = [f"IAID={int.from_bytes(bytes(identifier[:4]))}"]
    leased = [
        f"RequestAddress={IPv4Address(bytes(each['Address']))}"
        for each in status.get("Addresses") or ()
        if each.get("ConfigSource") == "DHCPv4"
    ]
    return [
        *("[DHCPv4]", *iaid, *leased[:1], "SendRelease=no"),
        *("[DHCPv6]", *iaid, "SendRelease=no"),
    ]


def _membership(bridge: str) -> list[str]:
    return ["[Network]", f"Bridge={bridge}", "LinkLocalAddressing=no", "IPv6AcceptRA=no"]


def _text(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def _path(name: str, suffix: str) -> Path:
    return PLACE / f"{PREFIX}{name}.{suffix}"


# -- networkd -------------------------------------------------------------------------------------


def _configured(device: str) -> bool:
    if not (NET / device).exists():
        return False
    with suppress(NetworkFailure):  # networkd learns of a new device after the kernel
        return bool(_status(device).get("AdministrativeState") == CONFIGURED)
    return False


def _status(device: str) -> dict[str, Any]:
    """Raises NetworkFailure."""
    found = json.loads(_networkctl("--json=short", "--lines=0", "status", device) or "{}")
    return found if isinstance(found, dict) else {}


def _until(true: Callable[[], bool], failure: str) -> None:
    until(true, failure, UNIT)


def _networkctl(*arguments: str) -> str:
    return tools.run("networkctl", *arguments, seconds=WAIT_SECONDS + tools.SECONDS)
