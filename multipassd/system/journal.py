"""Records to systemd's journal, with fields, by its native protocol.

python-systemd sends them where it is installed; a snap, which takes wheels only, has to do without
it, and they are sent here (systemd.io/JOURNAL_NATIVE_PROTOCOL).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from array import array
from collections.abc import Callable

from multipassd.system.files import write_all

SOCKET = "/run/systemd/journal/socket"
SEND_TIMEOUT = 1.0  # seconds; a journal that does not read must not hang the daemon for good
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
TOO_LARGE = frozenset({errno.EMSGSIZE, errno.ENOBUFS})  # for a datagram

Send = Callable[..., object]  # send(message, FIELD=value, ...); raises OSError


def sender() -> Send | None:
    """What sends records to the journal; None where there is none or it may not be used."""
    if not _reachable(SOCKET):
        return None
    try:
        from systemd import journal
    except ImportError:
        return NativeSender(SOCKET).send
    send: Send = journal.send
    return send


def on_stderr() -> bool:
    """Does the service manager pass our stderr on to the journal? (JOURNAL_STREAM)"""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _reachable(path: str) -> bool:
    """A confined process may find the socket and yet be forbidden to use it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


class NativeSender:
    """Not connected: after a restart of the journal its new socket gets the next record."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(SEND_TIMEOUT)

    def send(self, message: str, **fields: str) -> None:
        record = encode({"MESSAGE": message, **fields})
        try:
            self._socket.sendto(record, self._path)
        except OSError as error:
            if error.errno not in TOO_LARGE:
                raise
            self._send_as_file(record)

    def _send_as_file(self, record: bytes) -> None:
        """The journal reads a large record from memory that nobody can change any more."""
        descriptor = os.memfd_create("journal-record", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            write_all(descriptor, record)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))
            self._socket.sendmsg([], [rights], 0, self._path)
        finally:
            os.close(descriptor)


def encode(fields: dict[str, str]) -> bytes:
    """A value with line breaks is preceded by its length instead of `=`."""
    lines = []
    for name, text in fields.items():
        value = text.encode("utf-8", "replace")
        if b"\n" in value:
            length = len(value).to_bytes(8, "little")
            lines.append(b"%s\n%s%s\n" % (name.encode(), length, value))
        else:
            lines.append(b"%s=%s\n" % (name.encode(), value))
    return b"".join(lines)
