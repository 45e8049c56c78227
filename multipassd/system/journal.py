"""Records to systemd's journal, with fields, by python-systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

SOCKET = "/run/systemd/journal/socket"

Send = Callable[..., object]  # send(message, FIELD=value or values, ...); raises OSError
Values = str | tuple[str, ...]


def sender() -> Send | None:
    """What sends records to the journal; None where there is none or it may not be used."""
    if not _reachable(SOCKET):
        return None
    from systemd import journal  # only here: 10 ms that a program without a journal need not spend

    def send(message: str, **fields: Values) -> None:
        journal.sendv(f"MESSAGE={message}", *_lines(fields))

    return send


def _lines(fields: dict[str, Values]) -> Iterator[str]:
    """A field may have several values, each of which a query finds."""
    for name, values in fields.items():
        for value in (values,) if isinstance(values, str) else values:
            yield f"{name}={value}"


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
