"""Adoption and its record, with other processes at work on the same store."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from multipassd.audit.record import Actor
from multipassd.audit.trail import Audit
from multipassd.auth.enrolment import Enrolment
from multipassd.auth.peer import Peer
from multipassd.system import file_lock
from multipassd.trust.lock import LOCK_NAME
from multipassd.trust.store import TrustStore, always
from protocol.pem import fingerprint
from tests.multipassd.trust.store_samples import der, pem
from tests.waiting import PATIENCE


def peer(number: int) -> Peer:
    return Peer(None, der(number), fingerprint(der(number)))


class Granted(Audit):
    def __init__(self) -> None:
        super().__init__()
        self.who: list[str] = []

    def granted(self, fingerprint: str, by: Actor, how: str) -> None:
        self.who.append(fingerprint)


def test_no_first_client_is_adopted_after_another_process_has_let_one_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `multipass-trust add`, say, between the daemon's look at the store and its own change."""
    store = TrustStore(tmp_path / "certs")
    store.load()
    waits = threading.Event()
    hold = file_lock.hold

    def announced(path: Path, patience: float) -> AbstractContextManager[None]:
        waits.set()
        return hold(path, patience)

    async def adopt() -> tuple[bool, list[str]]:
        audit = Granted()
        adopting = Enrolment(store, audit, lambda: None, always).adopt(peer(1))
        with hold(tmp_path / "certs" / LOCK_NAME, 0.0):
            monkeypatch.setattr(file_lock, "hold", announced)
            task = asyncio.create_task(adopting)
            assert await asyncio.to_thread(waits.wait, PATIENCE)
            store.path.write_bytes(pem(2))
            store.path.chmod(0o600)
        return await task, audit.who

    assert asyncio.run(adopt()) == (False, [])
    assert store.fingerprints() == {fingerprint(der(2))}


def test_no_first_client_is_adopted_once_the_setting_says_so_though_its_call_was_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting changes while the call waits for another process's change of the store."""
    store = TrustStore(tmp_path / "certs")
    store.load()
    waits, adopts = threading.Event(), [True]
    hold = file_lock.hold

    def announced(path: Path, patience: float) -> AbstractContextManager[None]:
        waits.set()
        return hold(path, patience)

    async def adopt() -> bool:
        enrolment = Enrolment(store, Audit(), lambda: None, lambda: adopts[0])
        with hold(tmp_path / "certs" / LOCK_NAME, 0.0):
            monkeypatch.setattr(file_lock, "hold", announced)
            task = asyncio.create_task(enrolment.adopt(peer(1)))
            assert await asyncio.to_thread(waits.wait, PATIENCE)
            adopts[0] = False
        return await task

    assert asyncio.run(adopt()) is False
    assert not store.fingerprints()
