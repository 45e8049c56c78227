"""Who is charged for a connection: a user of this host, or a source address.

The name is an account's, not a right: root's over TCP is no administrator's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from multipassd.auth.peer import Credentials
from multipassd.transport.quota.socket_owner import OwnerLookup
from multipassd.transport.quota.work_budget import Account

Charge = Callable[[int], int]  # a uid to the user it was lent by (`subuids.py`)

IPV6_PREFIX = 64  # one host has that many addresses to choose from
LOOPBACK = "tcp loopback"  # a local peer whose user the kernel does not tell


class Caller(NamedTuple):
    """Who opened a connection: what the kernel tells (None over TCP), who is charged, and HOST:PORT
    over TCP."""

    credentials: Credentials | None
    person: str
    account: Account
    address: str = ""


def person_of_uid(uid: int, charge: Charge) -> str:
    """A user and all the subordinate ids that are lent to them are one."""
    return str(charge(uid))


def account_of_uid(uid: int, charge: Charge) -> str:
    """Work is charged to the user, that of lent ids apart: a user's containers must not use up
    what the user's own client needs."""
    owner = charge(uid)
    return str(uid) if owner == uid else f"uids lent by uid {owner}"


class TcpOrigins:
    """Tells TCP peers apart: those on this host by their user, others by their address."""

    def __init__(self, charge: Charge, owners: OwnerLookup) -> None:
        self._charge = charge
        self._owners = owners

    def person(self, connection: socket.socket) -> str:
        """Raises OSError if the peer is gone."""
        theirs, ours = connection.getpeername(), connection.getsockname()
        address = _plain(theirs[0])
        if address.is_loopback or theirs[0] == ours[0]:
            return self._person_here(self._owners.uid(connection.family, theirs[:2], ours[:2]))
        return person_of_address(address)

    def _person_here(self, uid: int | None) -> str:
        if uid is None:
            return LOOPBACK
        # A proxy or a tunnel of root's brings others: root itself must not be charged for them.
        return "tcp root" if uid == 0 else person_of_uid(uid, self._charge)


def person_of_address(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        return f"tcp {IPv6Network((address, IPV6_PREFIX), strict=False)}"
    return f"tcp {address}"


def address_of(connection: socket.socket) -> str:
    """HOST:PORT of a TCP peer, as one writes it. Raises OSError if the peer is gone."""
    host, port = connection.getpeername()[:2]
    address = _plain(host)
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"


def _plain(text: str) -> IPv4Address | IPv6Address:
    """Without a scope; IPv4 as such where it comes over a socket of both."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
