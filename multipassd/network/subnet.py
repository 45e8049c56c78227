"""Chooses the private subnet for instances. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

PREFIX = 24  # 253 instances
# In the order in which they are tried: the last is what homes and offices use.
POOLS = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
ATTEMPTS = 500  # in each pool
SHORTEST = 8  # bits; shorter routes are default routes, also in halves as VPNs have them


class NoSubnet(Exception):
    """Every private subnet that was tried is reached by some route of the host."""


def choose(kept: IPv4Network | None, routes: Iterable[IPv4Network]) -> IPv4Network:
    """`kept` if no route of the host overlaps it, else a random one, because a guest that is a host
    itself should not choose the same. Raises NoSubnet."""
    import random  # slow to import, and rarely needed

    taken = [route for route in routes if route.prefixlen >= SHORTEST]
    if kept is not None and _free(kept, taken):
        return kept
    for pool in POOLS:
        count = 1 << (PREFIX - pool.prefixlen)
        for number in random.sample(range(count), min(count, ATTEMPTS)):
            base = int(pool.network_address) + (number << (32 - PREFIX))
            candidate = IPv4Network((base, PREFIX))
            if _free(candidate, taken):
                return candidate
    raise NoSubnet


def gateway(subnet: IPv4Network) -> IPv4Address:
    return subnet[1]


def addresses(subnet: IPv4Network) -> Iterable[IPv4Address]:
    """Addresses that instances may have."""
    return (subnet[number] for number in range(2, subnet.num_addresses - 1))


def _free(candidate: IPv4Network, taken: Iterable[IPv4Network]) -> bool:
    return not any(candidate.overlaps(route) for route in taken)
