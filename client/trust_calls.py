"""Calls of `multipass.Trust`, this project's own service; see `client/rpc.py` for the others."""

from __future__ import annotations

import time

from client import rpc
from client import trust_messages as messages
from client.errors import CommandFailed, Status, StatusError
from protocol import grpc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.rpc import Reply
    from client.session import Session
    from protocol.codec import Message


def call(session: Session, name: str, request: Message, kind: type[Reply]) -> Reply:
    """The reply. Raises CommandFailed."""
    channel = rpc.open_channel(session)
    reply = kind()
    try:
        for data in channel.call(grpc.path(name, grpc.TRUST_SERVICE), rpc.encode(request)):
            reply = rpc.decode(kind, data)
    except StatusError as error:
        if error.status == Status.UNIMPLEMENTED:
            raise CommandFailed(messages.NOT_OFFERED) from None
        raise
    return reply


def moment(seconds: int) -> str:
    """UTC, to the minute; empty for 0, which is unknown."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds)) if seconds else ""
