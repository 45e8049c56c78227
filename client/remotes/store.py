"""The file of remotes: read, and changed under a lock. One that can't be read is left alone."""

from __future__ import annotations

import os

from client import files, remote_messages
from client.errors import CommandFailed
from client.remotes import table
from client.remotes.table import NotRemotes, Remotes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class RemotesUnusable(CommandFailed):
    """The file can't be read or written, so the server that is meant is unknown."""


def read(path: str) -> Remotes:
    """Raises RemotesUnusable."""
    try:
        if not os.path.lexists(path):
            return Remotes()
        return table.parse(files.load(path))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except NotRemotes as error:
        raise _unreadable(path, str(error)) from error


def change(path: str, edit: Callable[[Remotes], None]) -> None:
    """What `edit` raises leaves the file as it was. Raises RemotesUnusable."""
    try:
        with files.Locked(path):
            remotes = read(path)
            before = remotes.text()
            edit(remotes)
            if remotes.text() != before:
                files.replace(path, remotes.text())
    except OSError as error:
        raise RemotesUnusable(
            remote_messages.unwritable(path, error.strerror or str(error)),
            remote_messages.UNWRITABLE_HINT,
        ) from error


def _unreadable(path: str, why: str) -> RemotesUnusable:
    return RemotesUnusable(remote_messages.unreadable(path, why), remote_messages.UNREADABLE_HINT)
