"""Guests are closed to users of this host for a time: their connections end, and no new ones come.

A rule of its own table refuses what these users send to guests' SSH servers; the kernel takes each
user out again after the time, also if neither this program nor the daemon lives to do so.
"""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from typing import Any, NamedTuple

from multipassd.network import tools
from multipassd.network.helper import guest_sockets
from multipassd.network.helper.guest_sockets import Uids
from multipassd.network.tools import NetworkFailure
from multipassd.system import log

TABLE = "multipass_closed"
SSH = 22
LOOPBACK = IPv4Address("127.0.0.1")
MAX_UID = (1 << 32) - 2
MOST = 1000  # ranges of uids, or ports
LONGEST = 3600  # seconds
MARK = re.compile(r"[0-9a-f]{8}")

_log = log.get("network")


class Places(NamedTuple):
    """Where guests' SSH servers are: on the bridge's network, on ports of the loopback interface,
    at addresses of networks of others."""

    subnet: IPv4Network | None
    ports: frozenset[int]
    elsewhere: frozenset[IPv4Address]

    def has(self, address: IPv4Address, port: int) -> bool:
        if address == LOOPBACK:
            return port in self.ports
        known = address in self.elsewhere or (self.subnet is not None and address in self.subnet)
        return known and port == SSH


NOWHERE = Places(None, frozenset(), frozenset())


def ruleset(table: str, places: Places, uids: Uids, seconds: int) -> str:
    """Input of `nft -f` that replaces the whole table; without uids it removes it. Pure."""
    begin = f"table inet {table}\ndelete table inet {table}\n"
    if not uids:
        return begin
    users = ", ".join(f"{_range(each)} timeout {seconds}s" for each in uids)
    rules = ""
    ssh = f"tcp dport {SSH} reject with tcp reset\n"
    if places.subnet is not None:
        rules += f"    meta skuid @users ip daddr {places.subnet} {ssh}"
    if places.elsewhere:
        some = ", ".join(str(address) for address in sorted(places.elsewhere))
        rules += f"    meta skuid @users ip daddr {{ {some} }} {ssh}"
    if places.ports:
        some = ", ".join(str(port) for port in sorted(places.ports))
        rules += (
            f"    meta skuid @users ip daddr {LOOPBACK} tcp dport {{ {some} }} "
            "reject with tcp reset\n"
        )
    return (
        f"{begin}table inet {table} {{\n"
        "  set users {\n    typeof meta skuid\n    flags interval, timeout\n"
        f"    elements = {{ {users} }}\n  }}\n"
        "  chain output {\n    type filter hook output priority filter; policy accept;\n"
        f"{rules}  }}\n"
        "}\n"
    )


def close(
    places: Places, uids: Uids, once: Uids, seconds: int, *, mark: str = ""
) -> dict[str, Any]:
    """Close guests to `uids`, and to no one else, for this time; of `once` only the connections of
    now end. How many connections were ended, guest and local port of those that could not be, and
    why guests are not closed. `mark`: of a daemon without a network service, which has a table of
    its own. Raises OSError."""
    why = ""
    try:
        tools.run("nft", "-f", "-", given=ruleset(_table(mark), places, uids, seconds))
    except NetworkFailure as error:
        why = str(error)

    ended, left = guest_sockets.end((*uids, *once), places.has) if uids or once else (0, [])
    if ended:
        _log.info("%d connections to instances were ended", ended)
    return {"ended": ended, "left": left, "why": why if uids else ""}


def open_again() -> None:
    """Close guests to no one. Never fails."""
    with suppress(NetworkFailure):
        tools.run("nft", "-f", "-", given=ruleset(TABLE, NOWHERE, (), 0))


def ranges(given: Any) -> Uids:
    """Of a request: apart, in order. Raises ValueError, TypeError; also for root, which is never
    shut out."""
    found = sorted((_int(first, MAX_UID), _int(last, MAX_UID)) for first, last in given)
    if len(found) > MOST or any(first > last for first, last in found):
        raise ValueError("no ranges of users")
    merged: list[tuple[int, int]] = []
    for first, last in found:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return tuple(merged)


def ports(given: Any) -> frozenset[int]:
    """Raises ValueError, TypeError."""
    found = frozenset(_int(port, 65535) for port in given)
    if len(found) > MOST:
        raise ValueError("too many ports")
    return found


def addresses(given: Any) -> frozenset[IPv4Address]:
    """Raises ValueError, TypeError; also for one that is no single other host's."""
    found = frozenset(IPv4Address(str(each)) for each in given)
    if len(found) > MOST or any(each.is_loopback or each.is_multicast for each in found):
        raise ValueError("no addresses of guests")
    return found


def seconds(given: Any) -> int:
    """Raises ValueError, TypeError."""
    return _int(given, LONGEST)


def mark(given: Any) -> str:
    """Raises ValueError, TypeError."""
    if not MARK.fullmatch(given):
        raise ValueError(given)
    return str(given)


def _table(mark: str) -> str:
    return f"{TABLE}_{mark}" if mark else TABLE


def _int(value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(value)
    return value


def _range(uids: tuple[int, int]) -> str:
    first, last = uids
    return str(first) if first == last else f"{first}-{last}"
