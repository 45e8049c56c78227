"""Which user has the other end of a TCP connection within this host: asked by sock_diag(7)."""

from __future__ import annotations

import socket
import struct

from multipassd.system import log

NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_TCP_ESTABLISHED = 1
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBxI")  # of inet_diag_req_v2: family, protocol, extensions, states
_ADDRESSES = struct.Struct(">HH16s16s")  # of inet_diag_sockid: ports and addresses
_REST = struct.Struct("=III")  # of inet_diag_sockid: interface, cookie
_ANSWER = struct.Struct("=BB2x48x12xII")  # of inet_diag_msg: family, state, ..., uid, inode
_ANSWER_SIZE = 4096

Address = tuple[str, int]

_log = log.get("server")


class OwnerLookup:
    """Asks the kernel, which may not answer: a sandbox without netlink, another namespace."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._refused = False
        self._sequence = 0

    def uid(self, family: int, theirs: Address, ours: Address) -> int | None:
        """The owner of the socket at `theirs` that is connected to `ours`; None if not known.

        A socket that is being closed has no owner any more, and the kernel would say root.
        """
        if self._refused:
            return None
        try:
            return self._ask(family, theirs, ours)
        except OSError as error:
            self._give_up(error)
            return None

    def _ask(self, family: int, theirs: Address, ours: Address) -> int | None:
        if self._socket is None:
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_SOCK_DIAG)
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._socket.send(_request(family, theirs, ours, self._sequence))
        while True:  # the kernel has answered by the time `send` returns
            answer = self._socket.recv(_ANSWER_SIZE)
            if len(answer) >= _HEADER.size and _HEADER.unpack_from(answer)[3] == self._sequence:
                return _owner(answer)

    def _give_up(self, error: OSError) -> None:
        """Permanently where no such socket can be made; else the next question has a new one."""
        if self._socket is None:
            self._refused = True
            _log.info("TCP peers on this host are not told apart by user: %s", error.strerror)
            return
        self._socket.close()
        self._socket = None


def _request(family: int, theirs: Address, ours: Address, sequence: int) -> bytes:
    addresses = _ADDRESSES.pack(theirs[1], ours[1], _packed(family, theirs), _packed(family, ours))
    body = (
        _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ANY_STATE)
        + addresses
        + _REST.pack(0, _NO_COOKIE, _NO_COOKIE)
    )
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, sequence, 0) + body


def _packed(family: int, address: Address) -> bytes:
    return socket.inet_pton(family, address[0].partition("%")[0]).ljust(16, b"\0")


def _owner(answer: bytes) -> int | None:
    """None for an error, which is how the kernel says that there is no such socket."""
    kind = _HEADER.unpack_from(answer)[1]
    if kind != _SOCK_DIAG_BY_FAMILY or len(answer) < _HEADER.size + _ANSWER.size:
        return None
    _, state, uid, inode = _ANSWER.unpack_from(answer, _HEADER.size)
    return uid if state == _TCP_ESTABLISHED and inode else None
