"""The instances' bridge and taps, by iproute2 and /sys/class/net."""

from __future__ import annotations

import os
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

from multipassd.network import subnet as subnets
from multipassd.network import tools
from multipassd.network.interfaces import NET, OURS, TAP
from multipassd.network.tools import NetworkFailure

BRIDGE = OURS
TUN = Path("/dev/net/tun")
IPV6 = Path("/proc/sys/net/ipv6/conf")
IFF_UP = 1  # linux/if.h
MAX_ALIAS = 255  # bytes; Linux takes no more


def tap_name(mac: str) -> str:
    return TAP + mac.replace(":", "").lower()


def exists(name: str) -> bool:
    return (NET / name).exists()


def taps(bridge: str = "") -> list[str]:
    """Instances' taps; only those on `bridge`, if it is given."""
    names = members(bridge) if bridge else os.listdir(NET)
    return sorted(name for name in names if name.startswith(TAP))


def members(bridge: str) -> list[str]:
    """Devices on a bridge; none if it does not exist."""
    try:
        return os.listdir(NET / bridge / "brif")
    except OSError:
        return []


def others() -> list[str]:
    """Devices on the instances' bridge that are not instances' taps."""
    return sorted(name for name in members(BRIDGE) if not name.startswith(TAP))


def routes() -> list[IPv4Network]:
    """Destinations of all routes but those over the instances' bridge. Raises NetworkFailure."""
    found = tools.listed("ip", "-json", "-4", "route", "show", "table", "all")
    others = [each for each in found if each.get("dev") != BRIDGE and each["dst"] != "default"]
    return [IPv4Network(each["dst"], strict=False) for each in others]


def signature(directory: Path) -> str:
    """The bridge's alias that names its service by the service's directory, cut to what the kernel
    takes."""
    return str(directory)[:MAX_ALIAS]


def owner() -> str:
    """The signature on the bridge; empty if there is no bridge, or no signature."""
    try:
        return (NET / BRIDGE / "ifalias").read_text().strip()
    except OSError:
        return ""


def make(subnet: IPv4Network, signed: str) -> None:
    """Make or repair the bridge. Raises NetworkFailure."""
    if not exists(BRIDGE):
        tools.run("ip", "link", "add", BRIDGE, "type", "bridge", "stp_state", "0")
    if owner() != signed:
        tools.run("ip", "link", "set", BRIDGE, "alias", signed)
    _accept_no_router()
    address = f"{subnets.gateway(subnet)}/{subnet.prefixlen}"
    tools.run("ip", "address", "replace", address, "brd", "+", "dev", BRIDGE)
    tools.run("ip", "link", "set", BRIDGE, "up")


def _accept_no_router() -> None:
    """The packet filter drops guests' router advertisements, too; but other programs flush it, and
    a route that was accepted in that time would stay for hours."""
    with suppress(OSError):  # a host without IPv6
        (IPV6 / BRIDGE / "accept_ra").write_text("0\n")


def fault(subnet: IPv4Network) -> str:
    """Why guests can't be reached over the bridge, as the end of a sentence; or empty. Raises
    NetworkFailure."""
    if not exists(BRIDGE):
        return "is gone"
    (found,) = tools.listed("ip", "-json", "address", "show", "dev", BRIDGE)
    if "UP" not in found["flags"]:
        return "is down"
    address = str(subnets.gateway(subnet))
    if all(entry.get("local") != address for entry in found["addr_info"]):
        return f"has lost its address {address}"
    return ""


def rejoin(tap: str) -> bool:
    """Attach a tap that is on no bridge, or down, to the bridge again; was there anything to do? A
    tap on another bridge was put there by an administrator. Raises NetworkFailure."""
    master = NET / tap / "master"
    try:
        if master.exists() and master.resolve().name != BRIDGE:
            return False
        if master.exists() and int((NET / tap / "flags").read_text(), 16) & IFF_UP:
            return False
    except FileNotFoundError:  # it was removed
        return False
    tools.run("ip", "link", "set", tap, "master", BRIDGE, "up")
    return True


def remove() -> None:
    """Remove the bridge and all taps on it; not while other devices are on it. Raises
    NetworkFailure."""
    for tap in taps(BRIDGE):
        remove_tap(tap)
    if strangers := others():
        raise NetworkFailure(
            f"The bridge {BRIDGE} stays, as devices are on it that are not instances' of this "
            f"service: {', '.join(strangers)}. When they are gone, `ip link delete {BRIDGE}`."
        )
    if exists(BRIDGE):
        tools.run("ip", "link", "delete", BRIDGE)


def add_tap(name: str, bridge: str, user: str) -> None:
    """A tap that `user` may open. Raises NetworkFailure; then there is none."""
    if not TUN.exists():
        raise NetworkFailure(
            f"Instances' network cards need {TUN}, which this host does not have. "
            "Please load the kernel module tun (`modprobe tun`), then try again."
        )
    if user != "root" and not tools.may(user, TUN, "-r", "-w"):
        raise NetworkFailure(
            f"{TUN} can't be opened by {user}, the user that instances run as. Please make it "
            f"accessible to all users, as Linux systems do (`chmod 666 {TUN}`), then try again."
        )
    remove_tap(name)
    try:
        tools.run("ip", "tuntap", "add", "dev", name, "mode", "tap", "user", user)
        tools.run("ip", "link", "set", name, "master", bridge, "up")
    except BaseException:  # also SystemExit, when the service is stopped
        remove_tap(name)
        raise


def remove_tap(name: str) -> None:
    """Does nothing if there is no such tap. Raises NetworkFailure."""
    if exists(name):
        tools.run("ip", "link", "delete", name)
