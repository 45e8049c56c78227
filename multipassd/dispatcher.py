"""From a whole request to its answer: gate, adoption, method. Errors become statuses only here."""

from __future__ import annotations

import asyncio
import os
import time

from multipassd import log
from multipassd.call import CURRENT, Call
from multipassd.daemon import Daemon
from multipassd.gate import Verdict, decide
from multipassd.methods import HANDLERS
from multipassd.peer import AdminRule, Peer
from multipassd.stream import Stream
from protocol.codec import DecodeError, Message
from protocol.errors import (
    InternalError,
    MalformedRequest,
    NotAuthenticated,
    NotImplementedYet,
    RpcError,
)
from protocol.methods import Method

_log = log.get("dispatcher")


class Dispatcher:
    def __init__(self, daemon: Daemon, admins: AdminRule) -> None:
        self._daemon = daemon
        self.admins = admins

    async def serve(self, stream: Stream) -> None:
        """Answer one call, whatever happens."""
        peer, method = stream.connection.peer, stream.method
        assert peer is not None and method is not None
        try:
            await self._serve(stream, peer, method)
        except asyncio.CancelledError:
            raise  # the caller hung up
        except RpcError as error:
            stream.fail(error)
        except Exception:
            stream.fail(_unforeseen(method))
        else:
            stream.succeed()

    async def _serve(self, stream: Stream, peer: Peer, method: Method) -> None:
        trusted = self._admit(peer, method)
        try:
            request = method.request.decode(stream.message)
        except DecodeError as error:
            raise MalformedRequest(f"malformed request: {error}") from None
        if trusted is None:
            await self._adopt(peer)
        call = Call[Message](method, peer, request, stream, trusted is not False)
        CURRENT.set(call)
        with log.attention(call.verbosity):
            await self._run(call)
        self._after(stream, peer)

    async def _run(self, call: Call[Message]) -> None:
        method = call.method
        handler = HANDLERS.get(method.path)
        if handler is None:
            raise NotImplementedYet(f"This service does not offer '{method.name}' yet.")
        _log.debug("%s calls %s", call.peer, method.name)
        await handler(call, self._daemon)

    def _admit(self, peer: Peer, method: Method) -> bool | None:
        """Is the caller trusted? None: not yet, but is to be adopted. Raises when refused."""
        self._daemon.enrolment.refresh()
        store = self._daemon.store
        decision = decide(method.policy, peer, store, self.admins)
        if decision.verdict is Verdict.REFUSE:
            self._daemon.audit.denied(peer.uid, peer.fingerprint, decision.reason)
            raise decision.error or NotAuthenticated()
        if decision.verdict is Verdict.ADOPT:
            return None
        return bool(peer.fingerprint) and store.trusts(peer.fingerprint)

    async def _adopt(self, peer: Peer) -> None:
        if await self._daemon.enrolment.adopt(peer):
            return
        if not self._daemon.store.trusts(peer.fingerprint):
            self._daemon.audit.denied(peer.uid, peer.fingerprint, "another client was first")
            raise NotAuthenticated()

    def _after(self, stream: Stream, peer: Peer) -> None:
        """A call may have changed what the peer is: trusted from now on, or no longer."""
        trusted = bool(peer.fingerprint) and self._daemon.store.trusts(peer.fingerprint)
        if trusted:
            self._daemon.store.seen(peer.fingerprint, time.time())
        stream.connection.trust(trusted)


def _unforeseen(method: Method) -> InternalError:
    journal_id = os.urandom(6).hex()
    _log.exception("%s failed; the caller was told the id %s", method.name, journal_id)
    return InternalError(f"The service failed. Its journal tells more under the id {journal_id}.")
