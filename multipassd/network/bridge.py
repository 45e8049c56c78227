"""Our bridge and instances' taps, as the kernel has them."""

from __future__ import annotations

import os
import stat
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
FOR_ALL = 0o006  # harmless: a tap of one's own is all that one gets


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


def routes() -> list[IPv4Network]:
    """What the host reaches otherwise than by our bridge. Raises NetworkFailure."""
    found = tools.listed("ip", "-json", "-4", "route", "show", "table", "all")
    others = [one for one in found if one.get("dev") != BRIDGE and one["dst"] != "default"]
    return [IPv4Network(one["dst"], strict=False) for one in others]


def make(subnet: IPv4Network) -> None:
    """Make or mend it. Raises NetworkFailure."""
    if not exists(BRIDGE):
        tools.run("ip", "link", "add", BRIDGE, "type", "bridge", "stp_state", "0")
    _accept_no_router()
    address = f"{subnets.gateway(subnet)}/{subnet.prefixlen}"
    tools.run("ip", "address", "replace", address, "brd", "+", "dev", BRIDGE)
    tools.run("ip", "link", "set", BRIDGE, "up")


def _accept_no_router() -> None:
    """The packet filter keeps guests from becoming the host's way out, too; but others flush it,
    and a route that came in between stays for hours."""
    with suppress(OSError):  # a host without IPv6
        (IPV6 / BRIDGE / "accept_ra").write_text("0\n")


def remove() -> None:
    """With all taps on it. Raises NetworkFailure."""
    for tap in taps(BRIDGE):
        remove_tap(tap)
    if exists(BRIDGE):
        tools.run("ip", "link", "delete", BRIDGE)


def add_tap(name: str, bridge: str, user: str) -> None:
    """A tap that `user` may open. Raises NetworkFailure; then there is none."""
    if not TUN.exists():
        raise NetworkFailure(
            f"Instances' network cards need {TUN}, which this host does not have. "
            "Please load the kernel module tun (`modprobe tun`), then try again."
        )
    if user != "root" and stat.S_IMODE(TUN.stat().st_mode) & FOR_ALL != FOR_ALL:
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
