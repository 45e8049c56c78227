"""One call: send a message, print the service's log lines, return its reply."""

from __future__ import annotations

from client import messages
from client.errors import CommandFailed, Status, StatusError
from client.session import IF_PRESENT, MAKE
from client.terminal import console
from protocol.wire_format import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, TypeVar

    from client.session import Session
    from client.transport.channel import Call, Channel
    from protocol.codec import Message

    Reply = TypeVar("Reply", bound=Message)


COMPLETE_WITHIN = 1.0  # seconds; a person who pressed Tab waits


def call(
    session: Session,
    method: str,
    request: Message,
    kind: type[Reply],
    channel: Channel | None = None,
    loads: Sequence[str] = (),
) -> Reply:
    """The last reply that has more than a log line; an empty one if there is none. `loads`: modules
    that the reply will need; loaded while the service works, they take no time.

    `method` is a name of `multipass.Rpc`, or the path of a call of this project's own services
    whose replies have a `log_line`; others go over `Channel.call`. Raises CommandFailed.
    """
    result = kind()
    for reply in stream(session, method, request, kind, channel, loads=loads):
        result = reply
    return result


def stream(
    session: Session,
    method: str,
    request: Message,
    kind: type[Reply],
    channel: Channel | None = None,
    log: Callable[[str], None] = console.err,
    loads: Sequence[str] = (),
) -> Iterator[Reply]:
    """Like `call`, for calls that report progress: every reply. Raises CommandFailed."""
    channel = channel or open_channel(session)
    begun = channel.begin(method, encode(request), half_close=True)
    begun.start()
    for module in (*loads, "client.expiry"):  # main needs the latter afterwards
        __import__(module)
    yield from replies(session, begun, kind, log)


def open_channel(session: Session, deadline: float | None = None) -> Channel:
    """A channel to the service; `deadline` is by time.monotonic(). Raises CommandFailed."""
    if not session.never_enrols:
        return session.channel(MAKE, deadline=deadline)
    # Completion must not wait for a restart of the service either, or for a remote that is away.
    session.server().connect_within = COMPLETE_WITHIN
    channel = session.channel(IF_PRESENT, patience=0, deadline=deadline)
    ping(channel)
    return channel


def ping(channel: Channel) -> None:
    """Whether this client is trusted. Enrols no client, at any release. Raises CommandFailed."""
    try:
        for _ in channel.call("ping", b""):
            pass
    except StatusError as error:
        raise StatusError(error.status, error.sentence or messages.ENROLS_NO_CLIENT) from error


def replies(
    session: Session,
    begun: Call,
    kind: type[Reply],
    log: Callable[[str], None] = console.err,
) -> Iterator[Reply]:
    """The replies that have more than a log line. Raises CommandFailed."""
    empty = kind()
    try:
        for data in begun.replies():
            reply: Any = decode(kind, data)
            if reply.log_line:
                log(reply.log_line)
            reply.log_line = ""
            if reply != empty:
                yield reply
    except StatusError as error:
        raise _helpful(session, error) from error


def details(error: StatusError, kind: type[Reply]) -> Reply:
    """The error's details as a message; empty if there are none, or they can't be decoded."""
    try:
        return kind.decode(error.details)
    except DecodeError:
        return kind()


def advise(error: StatusError, hint: str) -> None:
    """Add a hint to an error about the instance's state, unless the message has it already."""
    refused = error.status in (Status.INVALID_ARGUMENT, Status.FAILED_PRECONDITION)
    if refused and "Cannot shut down" in error.sentence:
        error.hint = "" if hint in error.sentence else hint


def decode(kind: type[Reply], data: bytes) -> Reply:
    """Raises CommandFailed."""
    try:
        return kind.decode(data)
    except DecodeError as error:
        raise CommandFailed(messages.UNREADABLE_REPLY, str(error)) from error


def encode(request: Message) -> bytes:
    try:
        return request.encode()
    except UnicodeEncodeError:
        # An argument of undecodable bytes; the error would quote it, and it may be a secret.
        raise CommandFailed(messages.NOT_TEXT) from None


def _helpful(session: Session, error: StatusError) -> StatusError:
    """The service denies access with the message of a closed socket, so it gets the same hint."""
    if error.status != Status.PERMISSION_DENIED or error.sentence != messages.ACCESS_DENIED:
        return error
    from client.transport import dial

    return StatusError(error.status, error.sentence, dial.denied_hint(session.address()))
