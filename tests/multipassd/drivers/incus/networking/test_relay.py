"""Connections to guests that are carried over the cluster's API: bytes, limits, and their ends."""

from __future__ import annotations

import asyncio
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from multipassd.drivers.incus.networking import relay as relays
from multipassd.drivers.incus.networking.relay import LOOPBACK
from multipassd.transport.quota.socket_owner import OwnerLookup
from tests.multipassd.drivers.incus.driven import Driven, driven, until
from tests.multipassd.drivers.incus.fake_incus import run

MANY = 2 << 20  # bytes; more than buffers on the way hold
USER = 1000


@pytest.fixture(autouse=True)
def echoing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake of a guest runs commands on this host."""
    monkeypatch.setattr(relays, "COMMAND", ("cat",))


async def started(site: Driven, name: str = "foo") -> int:
    """The port of a guest that runs."""
    await site.driver.start(await site.make(name))
    return site.driver.network.relay.port(name)


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(LOOPBACK, port)


async def is_over(reader: asyncio.StreamReader) -> bool:
    try:
        return not await reader.read(1)
    except ConnectionError:
        return True


async def echoed(port: int, data: bytes) -> bytes:
    reader, writer = await connect(port)

    async def send() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    try:
        return await reader.read(-1)
    finally:
        await sending
        writer.close()


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are of a user of this host who is not root."""
    monkeypatch.setattr(OwnerLookup, "uid", lambda *_: USER)


def test_bytes_go_both_ways_and_the_callers_end_is_passed_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            port = await started(site)
            data = os.urandom(MANY)
            assert sha256(await echoed(port, data)).digest() == sha256(data).digest()
            found = await asyncio.gather(*(echoed(port, bytes([each]) * 1000) for each in range(5)))
            assert found == [bytes([each]) * 1000 for each in range(5)]
            await until(lambda: not site.driver.network.relay._carrying)

    run(story)


def test_a_caller_that_does_not_read_holds_what_is_sent(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            _, writer = await connect(await started(site))
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < 64 << 20:
                    writer.write(bytes(1 << 20))
                    sent += 1 << 20
                    async with asyncio.timeout(0.5):
                        await writer.drain()
            assert sent < 64 << 20
            writer.transport.abort()
            await until(lambda: not site.driver.network.relay._carrying)

    run(story)


def test_a_guest_and_a_user_have_their_limits(
    tmp_path: Path, user: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "PER_GUEST", 2)
    monkeypatch.setattr(relays, "PER_USER", 3)

    async def held(port: int) -> asyncio.StreamWriter | None:
        """A connection that is carried; None where it was refused."""
        reader, writer = await connect(port)
        writer.write(b"x")
        try:
            return writer if await reader.read(1) else None
        except ConnectionError:
            return None

    async def story() -> None:
        async with driven(tmp_path) as site:
            first, second = await started(site), await started(site, "bar")
            mine = [await held(first) for _ in range(3)]
            assert [bool(each) for each in mine] == [True, True, False]
            others = [await held(second) for _ in range(2)]
            assert [bool(each) for each in others] == [True, False]
            for each in (*mine, *others):
                if each is not None:
                    each.transport.abort()
            await until(lambda: not site.driver.network.relay._carrying)
            last = await held(first)
            assert last is not None
            last.transport.abort()

    run(story)


def test_a_guests_end_closes_its_port_and_what_is_carried_to_it_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            port, other = await started(site), await started(site, "bar")
            reader, writer = await connect(port)
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            await site.driver.clear("foo")
            assert await is_over(reader)
            with pytest.raises(ConnectionRefusedError):
                await connect(port)
            assert await echoed(other, b"y") == b"y"
            writer.close()

    run(story)


def test_a_cluster_that_is_lost_ends_what_is_carried_and_not_the_port(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            port = await started(site)
            reader, writer = await connect(port)
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            await site.fake.kill("m1")
            assert await is_over(reader)
            await until(lambda: site.view.unreachable)
            reader, writer = await connect(port)
            assert await is_over(reader)
            await site.fake.boot("m1")
            await until(lambda: not site.view.unreachable)
            assert site.driver.network.relay.port("foo") == port
            assert await echoed(port, b"y") == b"y"

    run(story)


def test_a_guest_that_runs_no_more_refuses_and_the_port_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            port = await started(site)
            held: Any = site.fake.instances
            await held.change_state(held.get("foo"), {"action": "stop"})
            reader, _ = await connect(port)
            assert await is_over(reader)
            await held.change_state(held.get("foo"), {"action": "start"})
            assert await echoed(port, b"y") == b"y"

    run(story)
