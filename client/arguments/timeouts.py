"""The option `--timeout` of commands that wait."""

from __future__ import annotations

import time

from client import messages
from client.arguments import numbers
from client.arguments.commandline import Option
from client.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.session import Session

OPTION = Option(
    ("timeout",),
    "Give up waiting after this many seconds (default: as long as the service allows)",
    "timeout",
)

NO_LIMIT = -1


def seconds(session: Session) -> int | None:
    """The option's value in seconds, None without it. Raises UsageError."""
    given = session.line.values.get("timeout")
    if given is None:
        return None
    number = numbers.parse(given[-1])
    if not number:
        raise UsageError(messages.BAD_TIMEOUT)
    return number


def on_wire(limit: int | None) -> int:
    return NO_LIMIT if limit is None else limit


def deadline(limit: int | None) -> float | None:
    """The deadline of a wait that begins now, by time.monotonic()."""
    return None if limit is None else time.monotonic() + limit
