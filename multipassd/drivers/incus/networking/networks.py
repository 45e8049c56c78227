"""The networks of the cluster, and whether guests on them are reached directly.

They are where the administrator has named a network that this host reaches (`local.incus.network`).
A bridge that Incus makes itself has the same addresses on each member, and is reached from that
member alone: guests on it are reached through the cluster. One without addresses has a card of each
member in it, and is the network that this card is on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from multipassd.drivers.incus.api.client import Api, name_in_path
from multipassd.drivers.incus.api.errors import IncusError, shown

BRIDGE = "bridge"
USUAL = "incusbr0"  # as `incus admin init` names it
MAX_NAME = 63  # characters; Incus' own networks have 15, those of OVN more
PROBE_PORT = 22  # any: a refusal is an answer, too
PROBE_SECONDS = 2.0


class Network(NamedTuple):
    """One network, as the cluster shows it."""

    name: str
    type: str  # bridge, ovn, macvlan, physical, sriov; of an unmanaged one what the kernel calls it
    managed: bool
    description: str


class Networks(NamedTuple):
    """Those of the cluster, and how guests are reached."""

    found: Mapping[str, Network]
    usual: str  # the network of first cards
    direct: bool
    why: str  # guests are not reached directly, a clause; or what is wrong with the named network


async def read(api: Api, named: str, members: int) -> Networks:
    """`named`: `local.incus.network`; `members`: how many the cluster has. Raises IncusError."""
    found = {each.name: each for each in await _read(api)}
    usual = named or _usual(found)
    network = found.get(usual)
    if network is None:
        return Networks(found, usual, False, _missing(named))
    if not named:
        return Networks(found, usual, False, "local.incus.network names no network")
    why = await _why_not_direct(network, await _gateway(api, usual), members)
    return Networks(found, usual, not why, why)


async def _read(api: Api) -> list[Network]:
    items = await api.listing("/1.0/networks", what="list networks", recursion=1)
    return [_network(each) for each in items if _usable(each)]


def _usable(document: Mapping[str, Any]) -> bool:
    name = document.get("name")
    named = isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()
    return named and (document.get("managed") is True or document.get("type") == BRIDGE)


def _network(document: Mapping[str, Any]) -> Network:
    return Network(
        name=str(document.get("name")),
        type=shown(document.get("type"), MAX_NAME),
        managed=document.get("managed") is True,
        description=shown(document.get("description") or ""),
    )


async def _gateway(api: Api, name: str) -> str:
    """The IPv4 address that the members have on it; empty where they have none, as on a bridge that
    one of their cards is in. A restricted certificate is not shown a network's configuration."""
    try:
        path = f"/1.0/networks/{name_in_path(name)}/state"
        state = await api.get(path, what=f"look at network {name}")
    except IncusError:  # one that is not a network of the members themselves, as of type physical
        return ""
    listed = state.get("addresses") if isinstance(state, dict) else None
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("family") == "inet":
            return str(each.get("address"))
    return ""


def _usual(found: Mapping[str, Network]) -> str:
    bridges = sorted(name for name, each in found.items() if each.managed and each.type == BRIDGE)
    return USUAL if USUAL in bridges or not bridges else bridges[0]


def _missing(named: str) -> str:
    if named:
        return f"the cluster has no network {named}, which local.incus.network names"
    return (
        "the cluster has no bridge of its own; `incus network create incusbr0` makes one, or "
        "local.incus.network names another network"
    )


async def _why_not_direct(network: Network, gateway: str, members: int) -> str:
    """A clause; empty where guests on it are reached directly."""
    if not gateway:
        return ""
    if network.type == BRIDGE and members > 1:
        return (
            f"{network.name} is a bridge on each member by itself, with the same addresses, so "
            "none of them leads to a certain guest"
        )
    if not await _answers(gateway):
        return f"{gateway} on {network.name} does not answer this host"
    return ""


async def _answers(address: str) -> bool:
    """Does this host get there? A refused connection is an answer."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(address, PROBE_PORT)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    writer.transport.abort()
    return True
