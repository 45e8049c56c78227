"""Our own table of the packet filter, and whether others' tables let instances through."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Network
from typing import Any

from multipassd.network import subnet as subnets
from multipassd.network import tools
from multipassd.network.tools import NetworkFailure

TABLE = "multipass"


def ruleset(bridge: str, subnet: IPv4Network, opened: Iterable[str]) -> str:
    """What `nft -f` makes of it at once, whatever there was. Pure.

    `opened` are devices that forward only because we said so: nothing but instances' traffic may
    pass there; and what stays on the device's own wire, which a bridge shows here, too, where
    br_netfilter is loaded, as Docker does.
    """
    closing = "".join(
        f'    iifname "{device}" oifname != {{ "{bridge}", "{device}" }} drop\n'
        for device in sorted(opened)
    )
    return (
        f"table inet {TABLE}\n"  # so that deleting it can't fail
        f"delete table inet {TABLE}\n"
        f"table inet {TABLE} {{\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        f"    ip saddr {subnet} ip daddr {{ 224.0.0.0/24, 255.255.255.255 }} return\n"
        f"    ip saddr {subnet} ip daddr != {subnet} masquerade\n"
        "  }\n"
        # No guest is the host's router, and nobody else asks for instances' names.
        "  chain input {\n"
        "    type filter hook input priority filter; policy accept;\n"
        f'    iifname "{bridge}" icmpv6 type {{ nd-router-advert, nd-redirect }} drop\n'
        f'    iifname "{bridge}" icmp type redirect drop\n'
        f'    iifname != {{ "{bridge}", "lo" }} ip daddr {subnets.gateway(subnet)} '
        "meta l4proto { tcp, udp } th dport 53 reject\n"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy accept;\n"
        f'    iifname "{bridge}" ip saddr {subnet} accept\n'
        f'    iifname "{bridge}" drop\n'
        f'    oifname "{bridge}" ip daddr {subnet} ct state established,related accept\n'
        f'    oifname "{bridge}" drop\n'
        f"{closing}"
        "  }\n"
        "}\n"
    )


def apply(bridge: str, subnet: IPv4Network, opened: Iterable[str]) -> None:
    """Raises NetworkFailure."""
    try:
        tools.run("nft", "-f", "-", given=ruleset(bridge, subnet, opened))
    except NetworkFailure as error:
        raise NetworkFailure(
            f"The packet filter does not take the rules that instances need: {error} "
            "Please look whether the kernel has nf_tables (`nft list ruleset`)."
        ) from None


def applied() -> bool:
    """Is our table there? `nft flush ruleset`, as nftables.service does it, takes all away."""
    with suppress(NetworkFailure):
        return f"inet {TABLE}\n" in tools.run("nft", "list", "tables", "inet")
    return False


def remove() -> None:
    """Raises NetworkFailure."""
    tools.run("nft", "-f", "-", given=f"table inet {TABLE}\ndelete table inet {TABLE}\n")


def refuse_closed(bridge: str) -> None:
    """Raises NetworkFailure if somebody else's firewall keeps instances from their network."""
    try:
        said = json.loads(tools.run("nft", "-j", "list", "ruleset"))
    except (NetworkFailure, ValueError):
        return  # an nft without JSON; what else is wrong will be seen when our own table is made
    if chain := blocker(said.get("nftables", []), bridge):
        raise NetworkFailure(
            f"The firewall drops what instances send: its chain {chain} has the policy drop and no "
            f"rule for the bridge {bridge}. Please let {bridge} through, with ufw by `ufw allow in "
            f"on {bridge}`, `ufw route allow in on {bridge}` and `ufw route allow out on "
            f"{bridge}`, with Docker by `iptables -I DOCKER-USER -i {bridge} -j ACCEPT` and "
            f"`iptables -I DOCKER-USER -o {bridge} -j ACCEPT`; then try again."
        )


def blocker(objects: Iterable[dict[str, Any]], bridge: str) -> str:
    """A chain that drops by policy, in a table that does not name the bridge; or nothing. Pure."""
    entries = list(objects)
    knowing = {
        _table(one["rule"]) for one in entries if "rule" in one and bridge in json.dumps(one)
    }
    for one in entries:
        chain = one.get("chain", {})
        closed = chain.get("hook") in ("input", "forward") and chain.get("policy") == "drop"
        if closed and _table(chain) not in knowing and chain["family"] in ("ip", "inet"):
            return f"{chain['family']} {chain['table']} {chain['name']}"
    return ""


def _table(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["family"], entry["table"]
