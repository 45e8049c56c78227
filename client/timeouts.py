"""The option `--timeout` of commands that wait."""

from __future__ import annotations

import time

from client import messages
from client.command import Option
from client.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.session import Session

MAX_SECONDS = 2**31 - 1  # what a request can carry

OPTION = Option(
    ("timeout",),
    "Give up waiting after this many seconds (default: as long as the service allows)",
    "timeout",
)


def seconds(session: Session) -> int | None:
    """None when the option is not given. Raises UsageError."""
    given = session.line.values.get("timeout")
    if given is None:
        return None
    text = given[-1]
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= MAX_SECONDS):
        raise UsageError(messages.BAD_TIMEOUT)
    return int(text)


def deadline(limit: int | None) -> float | None:
    """The end of the wait that begins now, by time.monotonic()."""
    return None if limit is None else time.monotonic() + limit
