"""Records to systemd's journal, with fields, by python-systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

SOCKET = "/run/systemd/journal/socket"

Send = Callable[..., object]  # send(message, FIELD=value, ...); raises OSError


def sender() -> Send | None:
    """What sends records to the journal; None where there is none or it may not be used."""
    if not _reachable(SOCKET):
        return None
    from systemd import journal  # only here: 10 ms that a program without a journal need not spend

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
