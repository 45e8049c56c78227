"""Parses systemd-networkd's files, and separates the sections about addresses. Pure."""

from __future__ import annotations

from collections.abc import Iterable

MATCH, NETWORK = "Match", "Network"
# The sections that a bridge takes over from its device; all others stay with the device.
ADDRESSING = (
    NETWORK, "Address", "Neighbor", "IPv6AddressLabel", "RoutingPolicyRule", "NextHop", "Route",
    "DHCP", "DHCPv4", "DHCPv6", "DHCPPrefixDelegation", "DHCPv6PrefixDelegation", "IPv6AcceptRA",
    "DHCPServer", "DHCPServerStaticLease", "IPv6SendRA", "IPv6PrefixDelegation", "IPv6Prefix",
    "IPv6RoutePrefix", "IPv6PREF64Prefix",
)  # fmt: skip


def sections(lines: Iterable[str], names: Iterable[str], *, others: bool = False) -> list[str]:
    """The lines in sections of these names, or in all others, with their headings."""
    wanted = {f"[{name}]" for name in names}
    found, taken = [], False
    for line in lines:
        if line.startswith("["):
            taken = (line in wanted) is not others
        if taken:
            found.append(line)
    return found


def logical_lines(text: str) -> list[str]:
    """The settings, one a line, without comments, which may stand inside a continued line."""
    found, begun = [], ""
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith(("#", ";")):
            continue
        begun += line.removesuffix("\\")
        if line.endswith("\\"):
            begun += " "
            continue
        found.append(begun)
        begun = ""
    return [*found, begun] if begun else found
