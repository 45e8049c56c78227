"""However many come first, one is; and every grant is on record."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from multipassd.audit.trail import Audit
from multipassd.auth.enrolment import Enrolment
from multipassd.auth.peer import AdminRule, Credentials, Peer
from multipassd.auth.standing import Standings
from multipassd.rpc.context import Daemon as Parts
from multipassd.rpc.dispatcher import Dispatcher
from multipassd.rpc.methods import HANDLERS
from multipassd.trust.store import TrustStore, always
from protocol import grpc
from protocol.certificates import make_client
from protocol.errors import RpcError
from protocol.methods import BY_PATH
from protocol.pem import fingerprint, pem_to_der
from protocol.roles import Role
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.multipassd.transport.tls_client import H2Client

ROUNDS, CROWD = 100, 50
ROOT = Credentials(0, 0, 1, frozenset({0}))
PAIRS = [make_client() for _ in range(CROWD)]
PEERS = [
    Peer(ROOT, der, fingerprint(der)) for der in (pem_to_der(each.certificate) for each in PAIRS)
]

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


def open_store(folder: Path) -> TrustStore:
    store = TrustStore(folder / "authenticated-certs")
    store.load()
    return store


def test_of_fifty_first_clients_one_is_enrolled_a_hundred_times(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "multipassd.audit")

    async def one_round(number: int) -> None:
        store = open_store(tmp_path / str(number))
        enrolment = Enrolment(store, Audit(), lambda: None, always)
        results = await asyncio.gather(*(enrolment.adopt(peer) for peer in PEERS))
        assert results.count(True) == 1
        winner = PEERS[results.index(True)].fingerprint
        assert store.fingerprints() == {winner}
        assert open_store(tmp_path / str(number)).fingerprints() == {winner}

    for number in range(ROUNDS):
        asyncio.run(one_round(number))
    granted = [each for each in caplog.records if "trusts client" in each.getMessage()]
    assert len(granted) == ROUNDS


def test_a_first_client_who_hangs_up_lets_no_second_one_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "multipassd.audit")
    changes = 0

    def changed() -> None:
        nonlocal changes
        changes += 1

    async def story() -> None:
        store = open_store(tmp_path)
        enrolment = Enrolment(store, Audit(), changed, always)
        writing, go_on = threading.Event(), threading.Event()
        add = store.add

        def slow_add(*arguments: Any, **more: Any) -> bool:
            writing.set()
            go_on.wait(10)
            return add(*arguments, **more)

        store.add = slow_add  # type: ignore[method-assign]
        first = asyncio.create_task(enrolment.adopt(PEERS[0]))
        await asyncio.to_thread(writing.wait, 10)
        first.cancel()
        second = asyncio.create_task(enrolment.adopt(PEERS[1]))
        await asyncio.sleep(0.01)
        go_on.set()
        assert await second is False
        assert store.fingerprints() == {PEERS[0].fingerprint}

    asyncio.run(story())
    assert [each.getMessage() for each in caplog.records] == [
        f"trusts client {PEERS[0].fingerprint[:16]} from now on (first client), uid 0"
    ]
    assert changes == 1


def test_edits_by_hand_during_an_enrolment_are_on_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "multipassd.audit")

    async def story() -> None:
        store = open_store(tmp_path)
        enrolment = Enrolment(store, Audit(), lambda: None, always)
        await enrolment.enrol(PEERS[0], "passphrase", Role.ADMIN)
        add = store.add

        def add_after_an_append(*arguments: Any, **more: Any) -> bool:
            with store.path.open("ab") as file:
                file.write(PAIRS[1].certificate)
            return add(*arguments, **more)

        store.add = add_after_an_append  # type: ignore[method-assign]
        await enrolment.enrol(PEERS[2], "passphrase", Role.ADMIN)
        await enrolment.upkeep()

    asyncio.run(story())
    text = "\n".join(sorted(each.getMessage() for each in caplog.records))
    assert text.count("from now on") == 3 and text.count("(by hand)") == 1


@pytest.mark.parametrize("number", range(3))
def test_of_many_real_first_clients_one_is_enrolled(daemon: DaemonFactory, number: int) -> None:
    running = daemon()
    clients = [H2Client(running, pair) for pair in PAIRS[:20]]
    statuses: list[str] = []
    threads = [
        threading.Thread(target=lambda c=client: statuses.append(c.call()[0])) for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for client in clients:
        client.socket.close()
    assert sorted(statuses) == ["0"] + ["16"] * 19
    assert running.store_path.read_text().count("BEGIN CERTIFICATE") == 1


class Refused:
    """A stream as the dispatcher sees it."""

    def __init__(self, peer: Peer) -> None:
        self.connection = SimpleNamespace(peer=peer, trust=lambda trusted: None)
        self.method = BY_PATH[grpc.path("list")]
        self.message = b""
        self.status: Status | None = None

    def fail(self, error: RpcError) -> None:
        self.status = error.status

    def succeed(self) -> None:
        self.status = Status.OK

    def send(self, payload: bytes) -> None: ...


def test_a_hundred_thousand_denials_hide_no_grant(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "multipassd.audit")
    denials = 100_000

    async def story() -> None:
        audit, store = Audit(), open_store(tmp_path)
        enrolment = Enrolment(store, audit, lambda: None, always)
        parts = cast(Parts, SimpleNamespace(audit=audit, store=store, enrolment=enrolment))
        dispatcher = Dispatcher(parts, Standings(parts.store, AdminRule(0, 0)), HANDLERS)
        await enrolment.enrol(PEERS[0], "first grant", Role.ADMIN)
        audit.tick(0.0)
        for number in range(denials):
            caller = Credentials(1000 + number % 7, 1, 1, frozenset())
            stream = Refused(Peer(caller, b"x", f"{number % 20_000:064x}"))
            await dispatcher.serve(cast(Any, stream))
            assert stream.status is Status.UNAUTHENTICATED
        audit.tick(61.0)
        await enrolment.enrol(PEERS[1], "second grant", Role.ADMIN)

    asyncio.run(story())
    texts = [each.getMessage() for each in caplog.records]
    assert "first grant" in texts[0] and "second grant" in texts[-1]
    assert len(texts) < 5000, "the journal is not flushed"
    assert any("more" in text for text in texts[-15:]), texts[-15:]
