"""From a whole request to its answer: gate, adoption, method. Errors become statuses only here."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from multipassd.audit.deed import Deed
from multipassd.auth.gate import Verdict, decide, decide_anew
from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing, Standings, actor
from multipassd.rpc.call import CURRENT, Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.subjects import subject_of
from multipassd.system import log
from multipassd.transport.grpc_stream import Stream
from multipassd.transport.quota.places import Places
from multipassd.trust.state import FirstClient, TrustState
from protocol.codec import Message
from protocol.errors import (
    InternalError,
    MalformedRequest,
    NotAuthenticated,
    NotImplementedYet,
    RpcError,
    Stopping,
)
from protocol.methods import Method
from protocol.wire_format import DecodeError

if TYPE_CHECKING:
    from multipassd.instances.collection import Instances

Handler = Callable[[Call[Any], Daemon], Awaitable[None]]

_log = log.get("dispatcher")

# An editor that writes in place and a shortage of descriptors damage the store for a moment, which
# is nobody's removal. Twice as long as the store itself waits for the rest of a certificate.
DAMAGE_PATIENCE = 4.0


class Dispatcher:
    """`handlers`: the function of each method that is served, by its path."""

    def __init__(
        self, daemon: Daemon, standings: Standings, handlers: Mapping[str, Handler]
    ) -> None:
        self._daemon = daemon
        self._handlers = handlers
        self._standings = standings
        self._running: dict[Stream, Call[Message]] = {}
        self._recheck: asyncio.TimerHandle | None = None
        self._places = Places()
        self._stopping = False

    async def serve(self, stream: Stream) -> None:
        """Answer one call. Never fails: every error becomes a status."""
        peer, method = stream.connection.peer, stream.method
        assert peer is not None and method is not None
        try:
            await self._serve(stream, peer, method)
        except asyncio.CancelledError:
            raise  # the caller hung up, or may not have its answer any more
        except RpcError as error:
            stream.fail(error)
        except Exception:
            stream.fail(_unforeseen(method))
        else:
            stream.succeed()

    def trust_changed(self) -> None:
        """End the calls whose callers the gate would not let in any more."""
        if self._recheck is not None:
            self._recheck.cancel()
            self._recheck = None
        if self._daemon.store.state is TrustState.DAMAGED:
            loop = asyncio.get_running_loop()
            self._recheck = loop.call_later(DAMAGE_PATIENCE, self._end_untrusted)
        else:
            self._end_untrusted()

    def look(self) -> None:
        """End calls whose callers' certificates have ended since they began, and relays that may
        not go on: called every second or so."""
        for stream, call in list(self._running.items()):
            if call.method.streams or self._standings.of(call.peer).expired:
                self._look_anew(stream, call)

    def current(self, peer: Peer) -> Peer:
        """The peer with the certificate that has just taken the place of the one it showed."""
        return self._daemon.enrolment.renewal.current(peer)

    def stop(self) -> None:
        """The service stops: end what would last as long as its callers want."""
        self._stopping = True
        for stream, call in list(self._running.items()):
            if call.method.streams:
                stream.revoke(Stopping())

    async def _serve(self, stream: Stream, peer: Peer, method: Method) -> None:
        verdict, standing = self._admit(peer, method)
        try:
            request = method.request.decode(stream.message)
        except DecodeError as error:
            raise MalformedRequest(f"malformed request: {error}") from None
        if verdict is Verdict.ADOPT:
            await self._adopt(peer)
            standing = self._standings.of(peer)
        call = Call[Message](method, peer, request, stream, standing, self._instances)
        if method.deed:
            budget = self._daemon.audit.budget
            call.deed = Deed(method.deed, call.actor, budget, subject_of(request))
        CURRENT.set(call)
        self._running[stream] = call
        try:
            with log.attention(call.verbosity), call.deed.watched():
                await self._run(call)
        finally:
            self._running.pop(stream, None)
        self._after(stream, call.peer)

    def _instances(self) -> Instances:
        return self._daemon.instances

    def _end_untrusted(self) -> None:
        for stream, call in list(self._running.items()):
            self._look_anew(stream, call)

    def _look_anew(self, stream: Stream, call: Call[Message]) -> None:
        call.peer = self.current(call.peer)
        standing = self._standings.of(call.peer)
        if call.standing.trusted:  # else it authenticates: a log is for the next call
            call.standing = standing
        state = self._daemon.store.state
        method = call.method
        decision = decide_anew(
            method.policy, method.least, call.peer, standing, state, self._first_client()
        )
        if decision.error is None or call.outlives_trust:
            self._check(stream, call)
            return
        del self._running[stream]
        reason = f"{decision.reason}, ended a running call"
        self._daemon.audit.denied(call.actor, reason)
        stream.revoke(decision.error)

    def _check(self, stream: Stream, call: Call[Message]) -> None:
        """End one whose subject exists for its caller no more, or has ended itself."""
        try:
            call.check()
        except RpcError as error:
            del self._running[stream]
            stream.revoke(error)

    async def _run(self, call: Call[Message]) -> None:
        method = call.method
        handler = self._handlers.get(method.path)
        if handler is None:
            raise NotImplementedYet(f"This service does not offer '{method.name}' yet.")
        _log.debug("%s calls %s", call.peer, method.name)
        if not method.streams:
            await handler(call, self._daemon)
            return
        if self._stopping:
            raise Stopping
        with self._places.taken(call.standing.name or call.peer.person):
            await handler(call, self._daemon)

    def _admit(self, peer: Peer, method: Method) -> tuple[Verdict, Standing]:
        """ALLOW or ADOPT, and what the peer is taken for. Raises the error of a refusal."""
        self._daemon.enrolment.refresh()
        state = self._daemon.store.state
        standing, first = self._standings.of(peer), self._first_client()
        decision = decide(method.policy, method.least, peer, standing, state, first)
        if decision.verdict is Verdict.REFUSE:
            by = actor(peer, standing.name, standing.role)
            self._daemon.audit.denied(by, decision.reason)
            raise decision.error or NotAuthenticated()
        return decision.verdict, standing

    def _first_client(self) -> FirstClient:
        """The setting, which is read only where it counts: a look costs a stat."""
        if self._daemon.store.state is TrustState.EMPTY:
            return self._daemon.settings.first_client()
        return FirstClient.UNKNOWN

    async def _adopt(self, peer: Peer) -> None:
        """Raises NotAuthenticated when another was faster, or has removed it again already."""
        adopted = await self._daemon.enrolment.adopt(peer)
        if not self._standings.of(peer).trusted:
            reason = "not trusted" if adopted else "another client was first"
            self._daemon.audit.denied(actor(peer, "", None), reason)
            raise NotAuthenticated()

    def _after(self, stream: Stream, peer: Peer) -> None:
        """A call may have changed what the peer is: trusted from now on, or no longer."""
        standing = self._standings.of(peer)
        if standing.trusted:
            self._daemon.store.seen(peer.fingerprint, time.time())
        stream.connection.standing_changed(standing)


def _unforeseen(method: Method) -> InternalError:
    journal_id = os.urandom(6).hex()
    _log.exception("%s failed; the caller was told the id %s", method.name, journal_id)
    return InternalError(f"The service failed. Its journal tells more under the id {journal_id}.")
