"""A session by its frames: bytes in, frames out, without sockets, TLS or a daemon."""

from __future__ import annotations

import asyncio
import logging

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame

from multipassd.auth.standing import STRANGER
from multipassd.transport.grpc_stream import Stream
from multipassd.transport.quota import limits
from protocol.errors import NotAuthenticated
from protocol.grpc import decode_message, frame
from protocol.http2_frames import ProtocolError
from protocol.status import Status
from tests.multipassd.transport.session_double import (
    TRUSTED,
    Answering,
    Caller,
    Service,
    answered,
    told,
    turns,
)

NO_FRAME_OVER_IT = 16385


async def echo(stream: Stream) -> None:
    stream.send(stream.message)
    stream.send(b"end")
    stream.succeed()


def test_a_call_is_answered_by_headers_messages_and_a_status() -> None:
    async def story() -> None:
        caller = Caller(Answering(echo))
        call = caller.begin(frame(b"hello"))
        assert await answered(caller, call) == "0"
        assert caller.headers[call][":status"] == "200"
        assert caller.headers[call]["content-type"] == "application/grpc"
        assert caller.data[call] == frame(b"hello") + frame(b"end")
        assert call in caller.ended_streams
        assert not caller.session.streams
        assert caller.charged == limits.CALL_WORK
        caller.hang_up()

    told(story())


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_it_makes_no_difference_how_the_bytes_are_cut(size: int) -> None:
    async def story() -> None:
        caller = Caller(Answering(echo))
        call = caller.open()
        caller.client.send_data(call, frame(b"hello"), end_stream=True)
        sent = caller.client.data_to_send()
        for start in range(0, len(sent), size):
            caller.session.receive(sent[start : start + size])
        assert await answered(caller, call) == "0"
        assert caller.data[call] == frame(b"hello") + frame(b"end")
        caller.hang_up()

    told(story())


def test_many_calls_share_a_connection_and_each_gets_its_own_answer() -> None:
    async def story() -> None:
        caller = Caller(Answering(echo), standing=TRUSTED)
        calls = {caller.begin(frame(text)): text for text in (b"a", b"b", b"c")}
        for call, text in calls.items():
            assert await answered(caller, call) == "0"
            assert caller.data[call] == frame(text) + frame(b"end")
        caller.hang_up()

    told(story())


def test_an_error_becomes_a_status_with_its_message() -> None:
    async def refuse(stream: Stream) -> None:
        stream.fail(NotAuthenticated("no entry: é"))

    async def story() -> None:
        caller = Caller(Answering(refuse))
        call = caller.begin(frame(b""))
        assert await answered(caller, call) == str(int(Status.UNAUTHENTICATED))
        assert decode_message(caller.headers[call]["grpc-message"]) == "no entry: é"
        caller.hang_up()

    told(story())


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"\1" + bytes(4), Status.INTERNAL),  # compressed
        (b"\0" + (limits.UNTRUSTED.message + 1).to_bytes(4, "big"), Status.RESOURCE_EXHAUSTED),
    ],
)
def test_a_message_that_is_not_taken_is_refused_at_its_first_bytes(
    message: bytes, status: Status
) -> None:
    async def story() -> None:
        caller = Caller(Service())
        call = caller.begin(message)
        assert await answered(caller, call) == str(int(status))
        caller.hang_up()

    told(story())


def test_a_stranger_is_told_how_to_be_let_send_more_and_a_trusted_client_is_not() -> None:
    async def told_by(caller: Caller) -> str:
        size = caller.limits.message + 1
        call = caller.begin(b"\0" + size.to_bytes(4, "big"))
        await answered(caller, call)
        text = decode_message(caller.headers[call]["grpc-message"])
        caller.hang_up()
        return text

    async def story() -> None:
        assert "multipass authenticate" in await told_by(Caller(Service()))
        assert "multipass authenticate" not in await told_by(Caller(Service(), standing=TRUSTED))

    told(story())


def test_a_call_that_does_not_exist_and_one_that_is_no_grpc_are_refused() -> None:
    async def story() -> None:
        caller = Caller(Service())
        unknown = caller.open(_path="/multipass.Rpc/nonsense")
        caller.exchange()
        assert caller.statuses[unknown] == str(int(Status.UNIMPLEMENTED))
        page = caller.open(**{"content-type": "text/html"})
        caller.exchange()
        assert caller.headers[page][":status"] == "415"
        caller.hang_up()

    told(story())


def test_a_call_that_ends_before_its_message_is_malformed() -> None:
    async def story() -> None:
        caller = Caller(Service())
        call = caller.open()
        caller.client.send_data(call, b"\0\0", end_stream=True)
        assert await answered(caller, call) == str(int(Status.INTERNAL))
        caller.hang_up()

    told(story())


def test_what_the_window_has_no_room_for_waits_for_the_window() -> None:
    large = bytes(200_000)

    async def send(stream: Stream) -> None:
        stream.send(large)
        stream.succeed()

    async def story() -> None:
        caller = Caller(Answering(send), standing=TRUSTED)
        call = caller.begin(frame(b""))
        await turns()
        caller.read()
        assert 0 < len(caller.data[call]) < len(large)
        assert call not in caller.statuses
        while call not in caller.statuses:
            taken = len(caller.data[call])
            caller.client.increment_flow_control_window(1 << 16)
            caller.client.increment_flow_control_window(1 << 16, call)
            caller.exchange()
            assert len(caller.data[call]) > taken or call in caller.statuses
        assert caller.data[call] == frame(large)
        caller.hang_up()

    told(story())


def test_a_peer_that_reads_nothing_is_not_sent_more_than_its_buffers_hold() -> None:
    refused: list[str] = []

    async def send(stream: Stream) -> None:
        try:
            for _ in range(100):
                stream.send(bytes(10_000))
        except Exception as error:
            refused.append(str(error))
            raise
        finally:
            stream.succeed()

    async def story() -> None:
        caller = Caller(Answering(send))
        caller.begin(frame(b""))
        await turns()
        assert refused == ["The client does not read the replies."]
        caller.hang_up()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("asyncio"), "disabled", True)  # it tells the error
        told(story())


def test_a_call_that_the_peer_takes_back_is_cancelled() -> None:
    served: list[str] = []

    async def wait(stream: Stream) -> None:
        served.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            served.append("cancelled")

    async def story() -> None:
        caller = Caller(Answering(wait))
        call = caller.begin(frame(b""))
        await turns()
        caller.client.reset_stream(call, ErrorCodes.CANCEL)
        caller.exchange()
        await turns()
        assert served == ["begun", "cancelled"]
        assert not caller.session.streams
        caller.hang_up()

    told(story())


def test_a_request_that_never_gets_whole_is_reset() -> None:
    async def story() -> None:
        caller = Caller(Service())
        call = caller.open()
        caller.exchange()
        now = asyncio.get_running_loop().time()
        assert not caller.session.reset_overdue(now + limits.REQUEST_TIMEOUT - 1)
        assert caller.session.reset_overdue(now + limits.REQUEST_TIMEOUT + 1)
        caller.read()
        assert caller.resets == {call: int(ErrorCodes.CANCEL)}
        assert not caller.session.streams
        caller.hang_up()

    told(story())


def test_a_question_is_answered_by_the_next_message_of_the_call() -> None:
    heard: list[bytes | None] = []

    async def ask(stream: Stream) -> None:
        stream.send(b"which?")
        heard.append(await stream.next_message(1000))
        heard.append(await stream.next_message(1000))
        stream.succeed()

    async def story() -> None:
        caller = Caller(Answering(ask))
        call = caller.begin(frame(b"first"))
        await turns()
        caller.client.send_data(call, frame(b"that"))
        caller.exchange()
        await turns()
        caller.client.end_stream(call)
        assert await answered(caller, call) == "0"
        assert heard == [b"that", None]
        caller.hang_up()

    told(story())


def test_frames_without_a_call_are_rationed_for_strangers_and_free_for_trusted_clients() -> None:
    async def story() -> None:
        for standing, expected in ((STRANGER, ErrorCodes.ENHANCE_YOUR_CALM), (TRUSTED, None)):
            caller = Caller(Service(), standing=standing)
            caller.control_frames = 5
            for _ in range(6):
                caller.client.ping(bytes(8))
            caller.session.receive(caller.client.data_to_send())
            assert caller.shut_with == expected
            caller.hang_up()

    told(story())


def test_trust_changes_how_many_calls_the_peer_may_make_at_a_time() -> None:
    async def story() -> None:
        caller = Caller(Service())
        assert caller.streams_allowed == [limits.UNTRUSTED.streams]
        caller.standing_changed(TRUSTED)
        caller.exchange()
        assert caller.streams_allowed[-1] == limits.TRUSTED.streams
        caller.standing_changed(STRANGER)
        caller.exchange()
        assert caller.streams_allowed[-1] == limits.UNTRUSTED.streams
        caller.hang_up()

    told(story())


def test_a_session_that_drains_says_goodbye_and_still_answers_what_crosses_it() -> None:
    async def story() -> None:
        caller = Caller(Answering(echo))
        caller.session.drain()
        caller.read()
        assert not caller.goaways, "not before the first call"
        call = caller.open()
        caller.client.send_data(call, frame(b"late"), end_stream=True)
        caller.session.receive(caller.client.data_to_send())
        await turns()
        assert not caller.session.streams
        found = frames(caller.session.data_to_send())
        goodbye = next(each for each in found if isinstance(each, GoAwayFrame))
        assert goodbye.last_stream_id >= call, "the call is not taken back"
        answer = b"".join(each.data for each in found if isinstance(each, DataFrame))
        assert answer == frame(b"late") + frame(b"end")
        caller.hang_up()

    told(story())


def frames(sent: bytes) -> list[Frame]:
    found = []
    while sent:
        each, length = Frame.parse_frame_header(memoryview(sent[:9]))
        each.parse_body(memoryview(sent[9 : 9 + length]))
        found.append(each)
        sent = sent[9 + length :]
    return found


def header_block(frames: int) -> bytes:
    first = HeadersFrame(1, data=b"\x83")
    more = [ContinuationFrame(1, data=b"") for _ in range(frames - 1)]
    return b"".join(each.serialize() for each in (first, *more))


def test_a_header_block_of_too_many_frames_ends_the_connection() -> None:
    async def story() -> None:
        allowed = Caller(Service())
        allowed.session.receive(header_block(limits.CONTINUATIONS))
        allowed.hang_up()
        refused = Caller(Service())
        with pytest.raises(ProtocolError):
            refused.session.receive(header_block(limits.CONTINUATIONS + 1))
        assert refused.session.data_to_send() != b"", "a GOAWAY"
        refused.hang_up()

    told(story())


def test_a_frame_that_is_too_long_is_refused_by_its_header_alone() -> None:
    async def story() -> None:
        caller = Caller(Service())
        with pytest.raises(ProtocolError):
            caller.session.receive(NO_FRAME_OVER_IT.to_bytes(3, "big") + bytes(6))
        caller.hang_up()

    told(story())


def test_headers_that_are_not_well_formed_end_the_connection() -> None:
    async def story() -> None:
        caller = Caller(Service())
        caller.open(_method="GET")
        with pytest.raises(ProtocolError, match="malformed headers"):
            caller.session.receive(caller.client.data_to_send())
        caller.hang_up()

    told(story())


def test_a_connection_that_is_gone_takes_its_calls_and_their_memory_with_it() -> None:
    async def story() -> None:
        service = Service()
        caller = Caller(service)
        caller.begin(b"\0" + (1000).to_bytes(4, "big") + bytes(500))
        assert len(service.strangers_buffers) > 0
        caller.hang_up()
        assert len(service.strangers_buffers) == 0

    told(story())
