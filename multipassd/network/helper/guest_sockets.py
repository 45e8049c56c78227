"""TCP connections of users of this host to guests: found and ended by sock_diag(7)."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

NETLINK_SOCK_DIAG = 4
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
SOCK_DIAG_BY_FAMILY, SOCK_DESTROY = 20, 21
# All but TIME_WAIT, LISTEN and CLOSE: connections that carry something, or will.
STATES = 0xFFF & ~(1 << 6 | 1 << 7 | 1 << 10)
HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
REQUEST = struct.Struct("=BBBxI")  # inet_diag_req_v2: family, protocol, extensions, states
ID_SIZE = 48  # of inet_diag_sockid: ports and addresses, big-endian, interface and cookie
ID_ENDS = struct.Struct(">HH16s16s")
MESSAGE = struct.Struct("=BBBB48sIIIII")  # inet_diag_msg; its last two are uid and inode
RECEIVE = 1 << 16
SECONDS = 5.0  # for the kernel to answer, which it does at once

Uids = tuple[tuple[int, int], ...]  # ranges, both ends included
GONE = (errno.ENOENT, errno.ESTALE)


class NotSupported(OSError):
    """The kernel can't end other processes' connections (CONFIG_INET_DIAG_DESTROY), or this
    process may not."""


class Connection(NamedTuple):
    """One TCP socket of a local process."""

    family: int
    identity: bytes  # inet_diag_sockid
    local_port: int
    address: IPv4Address | None  # of the peer; None: no IPv4 one
    port: int
    uid: int


def connections() -> Iterator[Connection]:
    """All of this network namespace that have an owner. Raises OSError."""
    for family in (socket.AF_INET, socket.AF_INET6):
        request = REQUEST.pack(family, socket.IPPROTO_TCP, 0, STATES) + bytes(ID_SIZE)
        with _asking() as netlink:
            netlink.send(_message(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, request))
            for kind, body in _answers(netlink):
                if kind == SOCK_DIAG_BY_FAMILY and len(body) >= MESSAGE.size:
                    found = _connection(body)
                    if found is not None:
                        yield found


def end(
    uids: Uids, is_guest: Callable[[IPv4Address, int], bool]
) -> tuple[int, list[tuple[str, int]]]:
    """End these users' connections to guests' SSH servers: how many were, and guest's address and
    local port of those that the kernel can't end. Raises OSError."""
    ended, left = 0, list[tuple[str, int]]()
    for each in list(connections()):
        if each.address is None or not is_guest(each.address, each.port):
            continue
        if not any(first <= each.uid <= last for first, last in uids):
            continue
        try:
            destroy(each)
            ended += 1
        except NotSupported:
            left.append((str(each.address), each.local_port))
    return ended, left


def destroy(connection: Connection) -> None:
    """Both ends learn it at once: the process by ECONNABORTED, the peer by a reset. Nothing to do
    for one that has ended. Raises NotSupported, OSError."""
    request = REQUEST.pack(connection.family, socket.IPPROTO_TCP, 0, STATES) + connection.identity
    with _asking() as netlink:
        netlink.send(_message(SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, request))
        for kind, body in _answers(netlink):
            if kind != NLMSG_ERROR:
                continue
            error = -struct.unpack_from("=i", body)[0]
            if error in (errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM):
                raise NotSupported(error, os.strerror(error))
            if error and error not in GONE:
                raise OSError(error, os.strerror(error))
            return


def _asking() -> socket.socket:
    netlink = socket.socket(
        socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG
    )
    netlink.settimeout(SECONDS)
    return netlink


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, flags, 1, 0) + body


def _answers(netlink: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Up to the end of a dump, or the one acknowledgement. Raises OSError."""
    while True:
        data = netlink.recv(RECEIVE)
        while len(data) >= HEADER.size:
            length, kind, *_ = HEADER.unpack_from(data)
            if kind == NLMSG_DONE or length < HEADER.size:
                return
            yield kind, data[HEADER.size : length]
            if kind == NLMSG_ERROR:
                return
            data = data[(length + 3) & ~3 :]


def _connection(body: bytes) -> Connection | None:
    """None for one without an owner: it is closed, and the kernel would say root."""
    family, *_, identity, _expires, _receive, _send, uid, inode = MESSAGE.unpack_from(body)
    local_port, port, _, raw = ID_ENDS.unpack_from(identity)
    if not inode:
        return None
    if family == socket.AF_INET:
        address: IPv4Address | None = IPv4Address(raw[:4])
    else:
        address = IPv6Address(raw).ipv4_mapped
    return Connection(family, identity, local_port, address, port, uid)
