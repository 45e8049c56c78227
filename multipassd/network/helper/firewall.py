"""The packet filter's table for instances, and messages about other tables that block them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Network

from multipassd.network import subnet as subnets
from multipassd.network import tools
from multipassd.network.helper.firewall_probe import Passage
from multipassd.network.tools import NetworkFailure

TABLE = "multipass"


def ruleset(bridge: str, subnet: IPv4Network, opened: Iterable[str]) -> str:
    """Input of `nft -f` that replaces the whole table atomically. Pure.

    `opened` are devices that forward only because this service switched it on: nothing may pass
    there but instances' traffic, and frames between ports of the same bridge, which this hook sees,
    too, where br_netfilter is loaded, as by Docker.
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
        # No guest becomes the host's router; only guests and the host query instances' names.
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
    """Does the table exist? `nft flush ruleset`, as in nftables.service, removes all."""
    with suppress(NetworkFailure):
        return f"inet {TABLE}\n" in tools.run("nft", "list", "tables", "inet")
    return False


def remove() -> None:
    """Raises NetworkFailure."""
    tools.run("nft", "-f", "-", given=f"table inet {TABLE}\ndelete table inet {TABLE}\n")


def refuse_closed(passage: Passage, bridge: str) -> None:
    """Raises NetworkFailure if no guest could be reached."""
    if passage.dhcp is False:
        raise NetworkFailure(
            "The host's firewall drops or rejects what instances ask their address by (DHCP), so "
            f"none could be reached{_suspects('input')}. {_remedy(bridge)}; then try again."
        )
    if passage.ssh is False:
        raise NetworkFailure(
            "The host's firewall drops or rejects what the host sends to instances (SSH), so none "
            f"could be reached{_suspects('output')}. {_remedy(bridge)}; then try again."
        )


def warning(passage: Passage, bridge: str) -> str:
    """A sentence about what guests can't reach, which does not prevent their start; or empty."""
    if passage.dhcp is None:
        return ""
    if passage.dns is False:
        return (
            "The host's firewall drops or rejects what instances ask for names (DNS at the bridge "
            f"{bridge}){_suspects('input')}. {_remedy(bridge)}."
        )
    if passage.world is False:
        return (
            "The host's firewall drops or rejects what instances send to the world: they can be "
            f"reached, but reach only this host{_suspects('forward')}. {_remedy(bridge)}."
        )
    return ""


def _suspects(hook: str) -> str:
    """The end of a sentence that names chains which may be the reason: a hint only, as the result
    comes from a probe, not from these."""
    chains: dict[str, str] = {}
    with suppress(NetworkFailure, ValueError, KeyError, TypeError):
        for entry in tools.listed("nft", "-j", "list", "chains")["nftables"]:
            chain = entry.get("chain", {})
            if chain.get("hook") == hook and chain["table"] != TABLE:
                name = f"{chain['family']} {chain['table']} {chain['name']}"
                chains[name] = chain["policy"]
    if closed := [name for name, policy in chains.items() if policy == "drop"]:
        return f"; its chain {closed[0]} has the policy drop"
    return f"; its chains for that are {', '.join(chains)}" if chains else ""


def _remedy(bridge: str) -> str:
    return (
        f"Please let {bridge} through, with ufw by `ufw allow in on {bridge}`, `ufw route allow in "
        f"on {bridge}` and `ufw route allow out on {bridge}`, with firewalld by `firewall-cmd "
        f"--permanent --zone=trusted --add-interface={bridge}` and `firewall-cmd --reload`, with "
        f"Docker by `iptables -I DOCKER-USER -i {bridge} -j ACCEPT` and `iptables -I DOCKER-USER "
        f"-o {bridge} -j ACCEPT`"
    )
