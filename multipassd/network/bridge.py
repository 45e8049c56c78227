"""Our bridge and instances' taps, as the kernel has them."""

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
    """Our taps; only those on `bridge`, if one is named."""
    names = members(bridge) if bridge else os.listdir(NET)
    return sorted(name for name in names if name.startswith(TAP))


def members(bridge: str) -> list[str]:
    """None if there is no such bridge, or none any longer."""
    try:
        return os.listdir(NET / bridge / "brif")
    except OSError:
        return []


def others() -> list[str]:
    """Devices on our bridge that are no instances'."""
    return sorted(name for name in members(BRIDGE) if not name.startswith(TAP))


def routes() -> list[IPv4Network]:
    """What the host reaches otherwise than by our bridge. Raises NetworkFailure."""
    found = tools.listed("ip", "-json", "-4", "route", "show", "table", "all")
    others = [one for one in found if one.get("dev") != BRIDGE and one["dst"] != "default"]
    return [IPv4Network(one["dst"], strict=False) for one in others]


def signature(directory: Path) -> str:
    """Of the service that keeps its files there, as far as the kernel takes it."""
    return str(directory)[:MAX_ALIAS]


def owner() -> str:
    """The signature of the service that made it; empty if there is none, or it has none."""
    try:
        return (NET / BRIDGE / "ifalias").read_text().strip()
    except OSError:
        return ""


def make(subnet: IPv4Network, signed: str) -> None:
    """Make or mend it. Raises NetworkFailure."""
    if not exists(BRIDGE):
        tools.run("ip", "link", "add", BRIDGE, "type", "bridge", "stp_state", "0")
    if owner() != signed:
        tools.run("ip", "link", "set", BRIDGE, "alias", signed)
    _accept_no_router()
    address = f"{subnets.gateway(subnet)}/{subnet.prefixlen}"
    tools.run("ip", "address", "replace", address, "brd", "+", "dev", BRIDGE)
    tools.run("ip", "link", "set", BRIDGE, "up")


def _accept_no_router() -> None:
    """The packet filter keeps guests from becoming the host's way out, too; but others flush it,
    and a route that came in between stays for hours."""
    with suppress(OSError):  # a host without IPv6
        (IPV6 / BRIDGE / "accept_ra").write_text("0\n")


def fault(subnet: IPv4Network) -> str:
    """What keeps guests from being reached by it, as the end of a sentence; or nothing. Raises
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
    """Put a tap that is on no bridge, or down, back on ours; was there anything to do? One that is
    on another bridge was put there by someone. Raises NetworkFailure."""
    master = NET / tap / "master"
    try:
        if master.exists() and master.resolve().name != BRIDGE:
            return False
        if master.exists() and int((NET / tap / "flags").read_text(), 16) & IFF_UP:
            return False
    except FileNotFoundError:  # it went meanwhile
        return False
    tools.run("ip", "link", "set", tap, "master", BRIDGE, "up")
    return True


def remove() -> None:
    """With all taps on it; not while devices of others are on it. Raises NetworkFailure."""
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
            f"{TUN} can't be opened by {user}, as whom instances run. Please let everybody open "
            f"it, as Linux systems do (`chmod 666 {TUN}`), then try again."
        )
    remove_tap(name)
    try:
        tools.run("ip", "tuntap", "add", "dev", name, "mode", "tap", "user", user)
        tools.run("ip", "link", "set", name, "master", bridge, "up")
    except BaseException:  # also if the service is stopped in between
        remove_tap(name)
        raise


def remove_tap(name: str) -> None:
    """Nothing to do if there is none. Raises NetworkFailure."""
    if exists(name):
        tools.run("ip", "link", "delete", name)
