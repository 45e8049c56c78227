"""One call as a method sees it: who asks what, and where replies and log lines go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from multipassd.audit import deed
from multipassd.audit.deed import Deed
from multipassd.audit.record import Actor
from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing, actor
from multipassd.instances.view import View
from multipassd.system import log
from multipassd.transport.quota import limits
from protocol.codec import Message
from protocol.errors import MalformedRequest
from protocol.methods import Method
from protocol.wire_format import DecodeError

if TYPE_CHECKING:
    from multipassd.instances.collection import Instances

Request = TypeVar("Request", bound=Message)


class Replies(Protocol):
    """Where a call's replies go: the stream they belong to."""

    def send(self, payload: bytes) -> None: ...
    async def next_message(self, seconds: float) -> bytes | None: ...
    async def further(self) -> bytes | None: ...
    async def drained(self) -> None: ...


class Call(Generic[Request]):
    """`request` is decoded and admitted; `standing` is what the caller was taken for then, and less
    once it loses its trust. `outlives_trust`: the caller hears the outcome even so. `actor` and
    `deed`: who the journal says it was, and what it is told."""

    def __init__(
        self,
        method: Method,
        peer: Peer,
        request: Request,
        replies: Replies,
        standing: Standing,
        instances: Callable[[], Instances],
    ) -> None:
        self.method = method
        self.peer = peer
        self.request = request
        self.standing = standing
        self.outlives_trust = False
        self.actor: Actor = actor(peer, standing.name, standing.role)
        self.deed: Deed = deed.NONE
        self.check: Callable[[], object] = lambda: None  # raises RpcError: it may not go on
        self._replies = replies
        self._instances = instances

    def reply(self, message: Message) -> None:
        """Stream one reply. Raises TooLarge when the peer does not read."""
        self._replies.send(message.encode())

    async def stream(self, message: Message) -> None:
        """The same for many replies: returns when the peer has taken it. Raises TooLarge when the
        peer does not read."""
        self.reply(message)
        await self._replies.drained()

    async def ask(self, question: Message) -> Request | None:
        """Stream a reply that asks, and wait for the request anew, with the answer in it. None if
        there is none. Raises MalformedRequest, and TooLarge as above."""
        self.reply(question)
        answer = await self._replies.next_message(limits.ANSWER_TIMEOUT)
        return None if answer is None else self._decoded(answer)

    async def further(self) -> Request | None:
        """The next message of a request that is a stream, None after the last. The peer may send
        more in place of the one before. Raises MalformedRequest."""
        message = await self._replies.further()
        return None if message is None else self._decoded(message)

    def _decoded(self, message: bytes) -> Request:
        try:
            return cast(Request, self.method.request.decode(message))
        except DecodeError as error:
            raise MalformedRequest(f"malformed request: {error}") from None

    @property
    def instances(self) -> View:
        """Those that exist for the caller; the others must not be looked up in any other way."""
        return View(self._instances(), self.standing)

    @property
    def person(self) -> str:
        """Who is charged for a guess: a user, or an address (`origin.py`). An admin is charged
        for itself alone, so that no stranger's guesses delay it."""
        if self.standing.administrates:
            return f"client {self.peer.fingerprint}"
        return self.peer.person

    @property
    def verbosity(self) -> int:
        """How much of the log the caller may and wants to see: 0 (errors) to 4 (trace)."""
        if not self.standing.administrates:
            return -1  # not even errors: the log tells about others
        return min(max(getattr(self.request, "verbosity_level", 0), 0), 4)

    def log_line(self, text: str) -> None:
        self.reply(self.method.reply(log_line=text))

    def warn(self, logger: logging.Logger, text: str) -> None:
        """For the caller alone; 1.16's clients show it on stderr, at any verbosity."""
        told = {"name": logger.name, "levelname": "WARNING", "msg": text}
        self.log_line(log.line(logging.makeLogRecord(told)) + "\n")


CURRENT: ContextVar[Call[Message] | None] = ContextVar("current call", default=None)
"""The call that the running task serves; its log records are shown to its caller."""
