"""Connections with hosts that are off, or cut off: the kernel ends them, as they answer nothing.

Without this, a call over a connection that was kept open would wait for its whole time limit before
another member is asked.
"""

from __future__ import annotations

import socket
from typing import Any

import aiohttp

# What was sent must be acknowledged in this time. A peer that lives and takes nothing more counts
# as one that does not: a call's body is small, and what takes an image writes it to a disk.
UNACKNOWLEDGED_MS = 15_000
# The same where nothing is under way: probes after 5 s, and three of them must be lost.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 3), (socket.TCP_KEEPCNT, 3))


class Connector(aiohttp.TCPConnector):
    """Its connections have these limits from their first byte on."""

    async def _create_connection(self, *given: Any) -> Any:
        """aiohttp has no other place for it before 3.12; `test_hostile_cluster.py` tells if this is
        none any more."""
        made = await super()._create_connection(*given)
        if made.transport is not None:
            limit(made.transport.get_extra_info("socket"), UNACKNOWLEDGED_MS)
        return made


def let_wait(found: aiohttp.ClientWebSocketResponse) -> None:
    """A command in an instance may leave its input alone for hours, which is no dead peer."""
    limit(found.get_extra_info("socket"), 0)


def limit(connection: socket.socket | None, unacknowledged: int) -> None:
    """`unacknowledged`: in milliseconds; 0: as long as the kernel tries."""
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (*KEEPALIVE, (socket.TCP_USER_TIMEOUT, unacknowledged)):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
