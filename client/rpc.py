"""One call: sends a message, shows the service's log lines, returns what it answered."""

from __future__ import annotations

from client import console, messages
from client.channel import PERMISSION_DENIED
from client.errors import CommandFailed, StatusError
from client.session import IF_PRESENT, MAKE
from protocol.codec import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeVar

    from client.channel import Call, Channel
    from client.session import Session
    from protocol.codec import Message

    Reply = TypeVar("Reply", bound=Message)


def call(
    session: Session,
    method: str,
    request: Message,
    kind: type[Reply],
    channel: Channel | None = None,
) -> Reply:
    """The last reply that says more than a log line; an empty one when there is none.

    Raises CommandFailed.
    """
    channel = channel or session.channel(IF_PRESENT if session.never_enrols else MAKE)
    if session.never_enrols:
        ping(channel)
    begun = channel.begin(method, encode(request), half_close=True)
    result = kind()
    for reply in replies(session, begun, kind):
        result = reply
    return result


def ping(channel: Channel) -> None:
    """Is this client trusted? Enrols nobody, at no release of the service. Raises CommandFailed."""
    try:
        for _ in channel.call("ping", b""):
            pass
    except StatusError as error:
        raise StatusError(error.status, error.sentence or messages.ENROLS_NOBODY) from error


def replies(session: Session, begun: Call, kind: type[Reply]) -> Iterator[Reply]:
    """The replies that say more than a log line. Raises CommandFailed."""
    empty = kind()
    try:
        for data in begun.replies():
            reply: Any = kind.decode(data)
            console.err(reply.log_line)
            reply.log_line = ""
            if reply != empty:
                yield reply
    except DecodeError as error:
        raise CommandFailed(messages.UNREADABLE_REPLY, str(error)) from error
    except StatusError as error:
        raise _helpful(session, error) from error


def encode(request: Message) -> bytes:
    try:
        return request.encode()
    except UnicodeEncodeError:
        # An argument of undecodable bytes; the error would quote it, and it may be a secret.
        raise CommandFailed(messages.NOT_TEXT) from None


def _helpful(session: Session, error: StatusError) -> StatusError:
    """The service keeps users out with the words of a closed socket, so it gets the same hint."""
    if error.status != PERMISSION_DENIED or error.sentence != messages.ACCESS_DENIED:
        return error
    from client import dial

    return StatusError(error.status, error.sentence, dial.denied_hint(session.address()))
