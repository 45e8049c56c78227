from __future__ import annotations

import asyncio
import hashlib
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.auth import passphrase
from multipassd.auth.passphrase import Verifier, make, verify
from protocol.errors import TooManyGuesses


def of_multipass(text: str) -> str:
    return hashlib.scrypt(text.encode(), salt=b"", n=16384, r=8, p=1, dklen=64).hex()


def test_a_record_verifies_its_passphrase_and_no_other() -> None:
    record = make("correct = horse ünïcode 🐎")
    assert verify("correct = horse ünïcode 🐎", record)
    assert not verify("correct = horse", record)
    assert not verify("", record)


def test_a_record_needs_no_quoting_and_has_its_own_salt() -> None:
    one, other = make("passphrase"), make("passphrase")
    assert re.fullmatch("[0-9a-z:]+", one)
    assert one != other
    assert "passphrase" not in one


def test_the_unsalted_record_of_an_existing_installation_is_accepted() -> None:
    record = of_multipass("passphrase")
    assert record.startswith("f28cb995")
    assert verify("passphrase", record)
    assert not verify("Passphrase", record)


@pytest.mark.parametrize(
    "record",
    [
        "",
        "ab",
        "f28cb995",
        "F2" * 64,
        "scrypt",
        "scrypt:16384:8:1:00",
        "scrypt:16384:8:1::" + "00" * 63,
        "scrypt:0:8:1:00:" + "00" * 64,
        "scrypt:3:8:1:00:" + "00" * 64,
        "scrypt:16384:0:1:00:" + "00" * 64,
        "scrypt:16384:8:0:00:" + "00" * 64,
        "scrypt:1073741824:8:1:00:" + "00" * 64,
        "scrypt:16384:999999999:1:00:" + "00" * 64,
        "scrypt:16384:8:999999999:00:" + "00" * 64,
        "scrypt:٣:8:1:00:" + "00" * 64,
        "argon:16384:8:1:00:" + "00" * 64,
        "scrypt:16384:8:1:00:" + "00" * 64 + ":",
        "0" * 100_000,
    ],
)
def test_a_malformed_record_matches_nothing_and_costs_nothing(record: str) -> None:
    assert not passphrase.is_record(record)
    assert not verify("", record)
    assert not verify("passphrase", record)


@given(st.text(alphabet="0123456789abcdef:scrypt", max_size=40))
def test_no_text_crashes_the_check(record: str) -> None:
    assert not verify("x", record)


def test_verifier_hashes_a_few_at_once_and_refuses_beyond_its_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, lock = threading.Event(), threading.Lock()
    started = threading.Semaphore(0)
    running, most = 0, 0

    def slow(text: str, record: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        started.release()
        gate.wait(30)
        with lock:
            running -= 1
        return text == record

    async def story() -> None:
        verifier = Verifier(workers=2, max_waiting=3)
        calls = [asyncio.create_task(verifier.verify("a", "a")) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyGuesses):
            await verifier.verify("a", "a")
        for _ in range(2):
            await asyncio.to_thread(started.acquire)
        gate.set()
        assert await asyncio.gather(*calls) == [True] * 5
        assert await verifier.verify("a", "b") is False

    monkeypatch.setattr(passphrase, "verify", slow)
    asyncio.run(story())
    assert most == 2


def test_a_caller_that_goes_away_frees_its_slot_only_when_its_thread_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, started = threading.Event(), threading.Semaphore(0)

    def slow(text: str, record: str) -> bool:
        started.release()
        gate.wait(30)
        return True

    async def story() -> None:
        verifier = Verifier(workers=1, max_waiting=1)
        gone = asyncio.create_task(verifier.verify("a", "a"))
        await asyncio.to_thread(started.acquire)
        waiting = asyncio.create_task(verifier.verify("a", "a"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        with pytest.raises(TooManyGuesses):
            await verifier.verify("a", "a")
        assert not started.acquire(blocking=False)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()
        assert await verifier.verify("a", "a")

    monkeypatch.setattr(passphrase, "verify", slow)
    asyncio.run(story())


def test_strangers_in_the_queue_do_not_hold_up_the_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, started = threading.Event(), threading.Semaphore(0)

    def slow(text: str, record: str) -> bool:
        started.release()
        return gate.wait(30) if text == "stranger's" else True

    async def story() -> None:
        verifier = Verifier(workers=1, max_waiting=1)
        strangers = [asyncio.create_task(verifier.verify("stranger's", "")) for _ in range(2)]
        await asyncio.to_thread(started.acquire)
        with pytest.raises(TooManyGuesses):
            await verifier.verify("stranger's", "")
        assert await verifier.verify("alice's", "", privileged=True)
        assert passphrase.is_record(await verifier.make("new"))
        gate.set()
        assert await asyncio.gather(*strangers) == [True] * 2

    monkeypatch.setattr(passphrase, "verify", slow)
    asyncio.run(story())


def test_verifier_makes_records_that_verify() -> None:
    async def story() -> bool:
        verifier = Verifier()
        return await verifier.verify("x", await verifier.make("x"))

    assert asyncio.run(story())
