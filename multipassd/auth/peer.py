"""The identity of a peer: certificate, user, groups. Made once a connection, no look-ups later."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

NOBODY = 65534  # the kernel's overflow id: a user it can't name here
SO_PEERGROUPS = 59  # asm-generic/socket.h; not in the socket module
_UCRED = struct.Struct("3i")
_PYTHONS_LIMIT = 1024  # bytes that socket.getsockopt takes at most: 256 groups
_GROUPS_LIMIT = 65536  # NGROUPS_MAX of Linux


class Credentials(NamedTuple):
    """A local process as of its connect(), as the kernel tells."""

    uid: int
    gid: int
    pid: int
    groups: frozenset[int]

    def __str__(self) -> str:
        return f"uid {self.uid} (pid {self.pid})"


class Peer(NamedTuple):
    """`credentials` is None over TCP; `certificate` is DER, empty if none was presented; `person`
    is who is charged for what the peer does (`origin.py`). `address`: HOST:PORT, over TCP only.
    `ends`: when the certificate ends, in seconds since 1970; NEVER_VALID where it does not say.
    From when it is valid does not matter: a clock that was put right must lock no client out."""

    credentials: Credentials | None
    certificate: bytes
    fingerprint: str
    person: str = ""
    address: str = ""
    ends: float = inf

    @property
    def uid(self) -> int | None:
        return self.credentials.uid if self.credentials else None

    @property
    def is_root(self) -> bool:
        return self.credentials is not None and self.credentials.uid == 0

    def __str__(self) -> str:
        where = str(self.credentials) if self.credentials else "TCP client"
        return f"{where}, certificate {self.fingerprint[:16] or 'none'}"


class AdminRule(NamedTuple):
    """Who counts as an administrator on a Unix socket: root, the admin group and, where the
    daemon is not root (a developer, a test), the daemon's own user."""

    group: int
    own_uid: int

    def covers(self, credentials: Credentials | None) -> bool:
        if credentials is None or credentials.uid == NOBODY:
            return False
        if credentials.uid in (0, self.own_uid):
            return True
        return self.group != 0 and self.group in credentials.groups


def uid_of(connection: socket.socket) -> int:
    """The user at the other end of a Unix socket. Raises OSError if the peer is gone."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1]) & 0xFFFFFFFF


def credentials_of(connection: socket.socket) -> Credentials | None:
    """The kernel's word on a Unix peer; None for TCP. Raises OSError if the peer is gone."""
    if connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return Credentials(
        uid & 0xFFFFFFFF,
        gid & 0xFFFFFFFF,
        pid,
        frozenset({gid & 0xFFFFFFFF, *_groups_of(connection)}),
    )


def _groups_of(connection: socket.socket) -> Sequence[int]:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _PYTHONS_LIMIT)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        return _many_groups_of(connection)
    return struct.unpack(f"{len(raw) // 4}I", raw)


def _many_groups_of(connection: socket.socket) -> Sequence[int]:
    """More groups than Python's own call has room for; empty if the kernel does not tell."""
    import ctypes

    groups = (ctypes.c_uint32 * _GROUPS_LIMIT)()
    length = ctypes.c_uint32(ctypes.sizeof(groups))
    call = ctypes.CDLL(None).getsockopt
    where = ctypes.byref(groups), ctypes.byref(length)
    if call(connection.fileno(), socket.SOL_SOCKET, SO_PEERGROUPS, *where):
        return ()
    return groups[: length.value // 4]


def own_rule(group: int) -> AdminRule:
    return AdminRule(group, os.geteuid())
