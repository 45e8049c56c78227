"""Bytes of one socket: order, pauses, and each way to its end."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from multipassd.transport.socket_io import SocketIo
from tests.waiting import PATIENCE

HIGH = 100_000
LARGE = bytes(range(256)) * 16_384  # 4 MiB, more than a socket takes


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.told: list[str] = []
        self.fails = False
        self._happened = asyncio.Event()

    async def until(self, what: Callable[[], bool]) -> None:
        while not what():
            self._happened.clear()
            await self._happened.wait()

    def received(self, data: bytes) -> None:
        if self.fails:
            raise ValueError("a fault of the owner")
        self.data += data
        self._happened.set()

    def writing_paused(self) -> None:
        self.told.append("paused")

    def writing_resumed(self) -> None:
        self.told.append("resumed")
        self._happened.set()

    def lost(self) -> None:
        self.told.append("lost")
        self._happened.set()


class Pair:
    """The socket under test with its owner, and the peer's end of it."""

    def __init__(self, reading: int = 4096) -> None:
        here, self.peer = socket.socketpair()
        self.here = here
        self.peer.setblocking(False)
        self.owner = Owner()
        self.io = SocketIo(here, self.owner, memoryview(bytearray(reading)))
        self.io.limit_unsent(HIGH)

    async def lost(self) -> list[str]:
        await self.owner.until(lambda: "lost" in self.owner.told)
        await asyncio.sleep(0)
        assert self.here.fileno() == -1
        return self.owner.told

    async def read_all(self) -> bytes:
        """What the peer is sent until the end."""
        loop, data = asyncio.get_running_loop(), b""
        with suppress(ConnectionResetError):  # it was closed with something unread
            while piece := await loop.sock_recv(self.peer, 1 << 20):
                data += piece
        return data


def story(tell: Callable[[Pair], Awaitable[None]], reading: int = 4096) -> None:
    async def run() -> None:
        pair = Pair(reading)
        try:
            await tell(pair)
        finally:
            pair.peer.close()
            pair.io.abort()
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


@pytest.mark.parametrize("reading", [1, 100, 4096])
def test_what_the_peer_sends_is_received_in_order(reading: int) -> None:
    async def tell(pair: Pair) -> None:
        pair.peer.send(LARGE[:5000])
        await pair.owner.until(lambda: len(pair.owner.data) >= 5000)
        assert pair.owner.data == LARGE[:5000]

    story(tell, reading)


def test_nothing_is_read_while_reading_is_paused() -> None:
    async def tell(pair: Pair) -> None:
        pair.io.pause_reading()
        pair.io.pause_reading()
        pair.peer.send(b"x")
        for _ in range(10):
            await asyncio.sleep(0)
        assert pair.owner.data == b""
        pair.io.resume_reading()
        await pair.owner.until(lambda: pair.owner.data == b"x")

    story(tell)


def test_what_is_there_can_be_read_now_and_the_end_is_told_by_the_loop() -> None:
    async def tell(pair: Pair) -> None:
        assert pair.io.read_now() == b""
        pair.peer.send(b"x" * 5000)
        assert pair.io.read_now() == b"x" * 4096
        assert pair.io.read_now() == b"x" * 904
        pair.peer.close()
        assert pair.io.read_now() == b""
        assert pair.owner.told == []
        assert await pair.lost() == ["lost"]
        assert pair.io.read_now() == b""

    story(tell)


def test_what_the_socket_does_not_take_waits_and_pauses_the_owner() -> None:
    async def tell(pair: Pair) -> None:
        pair.io.write(LARGE)
        assert pair.owner.told == ["paused"]
        pair.io.write(b"the end")
        reader = asyncio.ensure_future(pair.read_all())
        await pair.owner.until(lambda: "resumed" in pair.owner.told)
        pair.io.close()
        assert await reader == LARGE + b"the end"
        assert await pair.lost() == ["paused", "resumed", "lost"]

    story(tell)


def test_close_sends_first_what_was_written_and_reads_no_more() -> None:
    async def tell(pair: Pair) -> None:
        pair.io.write(LARGE)
        pair.io.close()
        pair.io.close()
        pair.peer.send(b"too late")
        pair.io.resume_reading()
        assert await pair.read_all() == LARGE
        assert (await pair.lost()).count("lost") == 1
        assert pair.owner.data == b""

    story(tell)


def test_abort_waits_for_no_peer() -> None:
    async def tell(pair: Pair) -> None:
        pair.io.write(LARGE)
        pair.io.close()
        pair.io.abort()
        assert "lost" not in pair.owner.told, "never from within another call"
        assert (await pair.lost()).count("lost") == 1
        pair.io.write(b"ignored")

    story(tell)


def test_the_peer_s_end_closes_it_once_the_answer_has_left() -> None:
    async def tell(pair: Pair) -> None:
        pair.io.write(LARGE)
        pair.peer.shutdown(socket.SHUT_WR)
        assert await pair.read_all() == LARGE
        assert (await pair.lost()).count("lost") == 1

    story(tell)


def test_a_peer_that_is_gone_while_something_waits_for_it_is_noticed() -> None:
    async def tell(pair: Pair) -> None:
        pair.io.pause_reading()
        pair.io.write(LARGE)
        pair.peer.close()
        assert (await pair.lost()).count("lost") == 1

    story(tell)


def test_writing_to_a_peer_that_is_gone_ends_it() -> None:
    async def tell(pair: Pair) -> None:
        pair.io.pause_reading()
        pair.peer.close()
        pair.io.write(b"x")
        assert pair.io.closing
        assert await pair.lost() == ["lost"]

    story(tell)


def test_a_fault_of_its_owner_ends_it_and_is_reported() -> None:
    async def tell(pair: Pair) -> None:
        reported: list[BaseException] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context["exception"])
        )
        pair.owner.fails = True
        pair.peer.send(b"x")
        assert await pair.lost() == ["lost"]
        assert [str(each) for each in reported] == ["a fault of the owner"]

    story(tell)


def test_what_ended_is_freed_without_the_collector() -> None:
    async def tell(pair: Pair) -> None:
        gc.disable()
        try:
            pair.io.close()
            await pair.lost()
            freed = weakref.ref(pair.owner)
            pair.owner = Owner()
            assert freed() is None
        finally:
            gc.enable()

    story(tell)
