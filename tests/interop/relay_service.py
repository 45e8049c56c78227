"""Listener, TLS, HTTP/2, gate and dispatcher of the daemon in this process, with `relay` as its one
method: `guest` stands in for an instance's SSH server."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from multipassd.audit.trail import Audit
from multipassd.auth.peer import AdminRule
from multipassd.auth.standing import Standings
from multipassd.instances.guests import relay as guest_relay
from multipassd.instances.guests.guest_ssh import Endpoint
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.dispatcher import Dispatcher
from multipassd.rpc.methods.relay import Caller
from multipassd.transport.connection_pool import Server
from multipassd.transport.listener import Listener
from multipassd.transport.tls import TlsContext
from multipassd.trust.state import TrustState
from protocol import grpc
from protocol.certificates import make_root, make_server
from protocol.messages.guests import RelayRequest
from protocol.roles import Role
from tests.waiting import PATIENCE

RELAY = grpc.path("relay", grpc.GUESTS_SERVICE)


class Store:
    """Every certificate is alice's, an admin, until that is withdrawn."""

    state = TrustState.TRUSTING

    def __init__(self) -> None:
        self.trusts = True

    def holder_of(self, fingerprint: str) -> tuple[Role | None, str]:
        return (Role.ADMIN, "alice") if self.trusts else (None, "")

    def seen(self, fingerprint: str, now: float) -> None: ...


class RelayService:
    """A context manager; `guest` is a listening socket."""

    def __init__(self, folder: Path, guest: socket.socket) -> None:
        root = make_root()
        self.root_cert = folder / "root.pem"
        self.root_cert.write_bytes(root.certificate)
        pair = make_server(root, ["localhost"])
        self._context = TlsContext(pair.certificate, pair.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._guest = Endpoint("guest", "127.0.0.1", guest.getsockname()[1], host_key="")
        self.store = Store()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> RelayService:
        self._thread.start()
        assert self._started.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._over.set)
        self._thread.join()

    def withdraw_trust(self) -> None:
        self.store.trusts = False
        self._do(self._server.trust_changed)

    def stop_calls(self) -> None:
        self._do(self._dispatcher.stop)

    def held(self) -> int:
        """Bytes of requests that the service holds."""
        return self._server.trusted_buffers.total

    def _do(self, what: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(what)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        renewal = SimpleNamespace(current=lambda peer: peer)
        daemon = SimpleNamespace(
            store=self.store,
            audit=Audit(),
            instances=None,
            enrolment=SimpleNamespace(refresh=lambda: None, renewal=renewal),
        )
        standings = Standings(self.store, AdminRule(0, own_uid=0))
        handlers = {RELAY: self._relay}
        self._dispatcher = Dispatcher(cast(Daemon, daemon), standings, handlers)
        self._server = Server(self._dispatcher, standings, lambda uid: uid, lambda: self._context)
        self._server.start([Listener(self._listening, bound=False)])
        self._started.set()
        await self._over.wait()
        self._server.take_no_more()
        for connection in list(self._server._connections):
            connection.abort()
        await asyncio.sleep(0)
        self._listening.close()

    async def _relay(self, call: Call[RelayRequest], daemon: Daemon) -> None:
        await guest_relay.run(self._guest, Caller(call))
