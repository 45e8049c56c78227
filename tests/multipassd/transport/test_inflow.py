"""Requests that are streams: what the peer may send ahead, and what misuse of that costs it."""

from __future__ import annotations

import asyncio

import pytest
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from multipassd.transport.grpc_stream import Stream
from multipassd.transport.quota import limits
from protocol import grpc
from protocol.http2_frames import FLOW_CONTROL_ERROR, ProtocolError
from tests.multipassd.transport.session_double import (
    MAX_FRAME,
    TRUSTED,
    Answering,
    Caller,
    answered,
    told,
    turns,
)

RELAY = grpc.path("relay", grpc.GUESTS_SERVICE)


class Reader(Answering):
    """Reads as many messages as it is let, and then answers."""

    def __init__(self) -> None:
        super().__init__(self._read)
        self.lets = asyncio.Semaphore(0)
        self.read: list[bytes] = []
        self.cancelled = False

    async def _read(self, stream: Stream) -> None:
        if stream.inflow is None:
            stream.succeed()
            return
        self.read.append(stream.message)
        try:
            while True:
                await self.lets.acquire()
                message = await stream.further()
                if message is None:
                    break
                self.read.append(message)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        stream.succeed()

    def let(self, count: int = 1_000_000) -> None:
        self.lets._value += count
        self.lets._wake_up_next()


def relay(service: Answering) -> tuple[Caller, int]:
    """A caller, and a call of its whose first message was sent."""
    caller = Caller(service, standing=TRUSTED)
    stream = caller.open(_path=RELAY)
    caller.client.send_data(stream, grpc.frame(b"first"))
    caller.exchange()
    return caller, stream


def send(caller: Caller, stream: int, data: bytes) -> int:
    """As much as the windows allow; how much that was."""
    sent = 0
    while sent < len(data):
        room = min(caller.client.local_flow_control_window(stream), MAX_FRAME)
        if not room:
            break
        piece = data[sent : sent + room]
        caller.client.send_data(stream, piece)
        sent += len(piece)
        caller.exchange()
    return sent


MESSAGES = st.lists(st.binary(max_size=300) | st.just(bytes(100_000)), max_size=30)


@given(MESSAGES, st.lists(st.integers(1, 5), max_size=30))
def test_whatever_is_sent_arrives_in_order_and_no_more_is_held_than_the_window(
    messages: list[bytes], steps: list[int]
) -> None:
    async def story() -> None:
        service = Reader()
        caller, stream = relay(service)
        data = b"".join(map(grpc.frame, messages))
        for step in [*steps, 1_000_000]:
            data = data[send(caller, stream, data) :]
            assert service.trusted_buffers.total <= limits.STREAM_WINDOW
            service.let(step)
            await turns()
            caller.exchange()
        while data:
            data = data[send(caller, stream, data) :]
            await turns()
            caller.exchange()
        caller.client.end_stream(stream)
        assert await answered(caller, stream) == "0"
        assert service.read == [b"first", *messages]
        assert service.trusted_buffers.total == 0

    told(story())


def test_a_call_that_does_not_read_stops_its_sender_and_no_other_call() -> None:
    async def story() -> None:
        service = Reader()
        caller, stream = relay(service)
        await turns()
        service.let(1)  # the question for the second message: from here on the window is wide
        await turns()
        caller.exchange()
        flood = grpc.frame(bytes(1000)) * 2000
        sent = send(caller, stream, flood)
        assert caller.client.local_flow_control_window(stream) == 0
        assert limits.STREAM_WINDOW <= sent + len(grpc.frame(b"first")) + 1000 < len(flood)
        assert limits.STREAM_WINDOW >= service.trusted_buffers.total > limits.STREAM_WINDOW // 2
        other = caller.begin(grpc.frame(bytes(200_000)))
        assert await answered(caller, other) == "0"
        service.let(500)
        await turns()
        caller.exchange()
        assert caller.client.local_flow_control_window(stream) > 0
        caller.hang_up()
        await turns()
        assert service.cancelled and service.trusted_buffers.total == 0

    told(story())


def test_until_it_is_let_in_a_call_has_the_small_window() -> None:
    async def story() -> None:
        caller = Caller(Reader(), standing=TRUSTED)
        stream = caller.open(_path=RELAY)
        sent = send(caller, stream, b"\0\0\1\0\0" + bytes(1 << 20))
        assert sent == 65_535

    told(story())


def test_a_flood_beyond_the_window_ends_the_connection() -> None:
    async def story() -> None:
        service = Reader()
        caller, stream = relay(service)
        window = caller.client.streams[stream].outbound_flow_control_window
        caller.client.streams[stream].outbound_flow_control_window = 1 << 30
        caller.client.outbound_flow_control_window = 1 << 30
        with pytest.raises(ProtocolError) as refused:
            for _ in range(2 + window // MAX_FRAME):
                caller.client.send_data(stream, bytes(MAX_FRAME))
                caller.exchange()
        assert refused.value.code == FLOW_CONTROL_ERROR

    told(story())


def test_data_after_the_end_of_the_request_is_refused() -> None:
    async def story() -> None:
        service = Reader()
        caller, stream = relay(service)
        caller.client.end_stream(stream)
        caller.exchange()
        await turns()
        wire = b"\0\0\1\0\0" + stream.to_bytes(4, "big") + b"x"  # a DATA frame
        try:
            caller.session.receive(wire)
        except ProtocolError:
            return  # of the connection
        caller.read()
        assert stream in caller.resets
        assert service.read == [b"first"]

    told(story())


def test_a_reset_in_the_middle_gives_all_memory_back() -> None:
    async def story() -> None:
        service = Reader()
        caller, stream = relay(service)
        await turns()
        send(caller, stream, grpc.frame(bytes(50_000)))
        assert service.trusted_buffers.total > 50_000
        caller.client.reset_stream(stream)
        caller.exchange()
        await turns()
        assert service.cancelled and service.trusted_buffers.total == 0

    told(story())


def test_a_message_over_the_limit_ends_the_call_before_it_is_there() -> None:
    async def story() -> None:
        service = Reader()
        caller, stream = relay(service)
        await turns()
        length = limits.STREAMED_MESSAGE + 1
        caller.client.send_data(stream, b"\0" + length.to_bytes(4, "big"))
        assert await answered(caller, stream) == "8"
        assert "is larger than" in caller.headers[stream]["grpc-message"]
        await turns()
        assert service.cancelled

    told(story())


def test_a_person_s_streams_together_hold_no_more_than_its_share() -> None:
    async def story() -> None:
        service = Reader()
        service.trusted_buffers.change("alice", limits.TRUSTED_SHARE)
        caller, stream = relay(service)
        assert await answered(caller, stream) == "8"
        assert "too many" in caller.headers[stream]["grpc-message"]

    told(story())


def test_a_caller_that_does_not_read_stops_the_answers() -> None:
    sent: list[int] = []

    async def talk(stream: Stream) -> None:
        for _ in range(100):
            stream.send(bytes(60_000))
            await stream.drained()
            sent.append(60_000)
        stream.succeed()

    async def story() -> None:
        caller = Caller(Answering(talk), standing=TRUSTED)
        stream = caller.open(_path=RELAY)
        caller.client.send_data(stream, grpc.frame(b"first"))
        caller.exchange()
        await turns()
        caller.exchange()
        await turns()
        assert sum(sent) <= 2 * 65_535
        caller.client.increment_flow_control_window(1 << 24)
        caller.client.increment_flow_control_window(1 << 24, stream)
        assert await answered(caller, stream) == "0"
        assert len(caller.data[stream]) == 100 * 60_005

    told(story())


def test_a_connection_that_takes_nothing_holds_answers_back() -> None:
    async def talk(stream: Stream) -> None:
        stream.send(b"x")
        await stream.drained()
        stream.succeed()

    async def story() -> None:
        caller = Caller(Answering(talk), standing=TRUSTED)
        caller.stalled = True
        stream = caller.open(_path=RELAY)
        caller.client.send_data(stream, grpc.frame(b"first"))
        caller.client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20})
        caller.exchange()
        await turns()
        caller.read()
        assert caller.data[stream] == b"" and stream not in caller.statuses
        caller.stalled = False
        caller.session.pump()
        assert await answered(caller, stream) == "0"
        assert caller.data[stream] == grpc.frame(b"x")

    told(story())
