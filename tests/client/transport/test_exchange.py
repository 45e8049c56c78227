"""One gRPC call, without a network: h2 plays the server."""

from __future__ import annotations

import h2.config
import h2.connection
import pytest

from client.errors import BadAnswer, NotProcessed, Status
from client.transport.exchange import Exchange
from protocol import grpc, status
from protocol import http2_frames as frames

ANSWER = [(":status", "200"), ("content-type", "application/grpc+proto")]


def served(*actions: tuple[str, object]) -> tuple[Exchange, bytes]:
    """A call, and the bytes of a server that takes it and does what `actions` say."""
    call = Exchange("list", b"request", half_close=True)
    config = h2.config.H2Configuration(client_side=False)
    server = h2.connection.H2Connection(config)
    server.initiate_connection()
    server.receive_data(call.take_output())
    for name, argument in actions:
        if name == "headers":
            server.send_headers(1, argument)  # type: ignore[arg-type]
        elif name == "last":
            server.send_headers(1, argument, end_stream=True)  # type: ignore[arg-type]
        elif name == "data":
            server.send_data(1, argument)  # type: ignore[arg-type]
        elif name == "end":
            server.end_stream(1)
    return call, server.data_to_send()


def test_messages_and_status_come_out() -> None:
    call, data = served(
        ("headers", ANSWER),
        ("data", grpc.frame(b"one") + grpc.frame(b"")),
        ("last", [("grpc-status", "9"), ("grpc-message", "50%25 %E2%9C%93")]),
    )
    assert call.receive(data) == [b"one", b""]
    assert (call.status, call.message) == (9, "50% ✓")


def test_an_answer_of_trailers_only_is_a_status() -> None:
    call, data = served(("last", [*ANSWER, ("grpc-status", "16"), ("grpc-message", "no")]))
    assert call.receive(data) == []
    assert (call.status, call.message) == (16, "no")


@pytest.mark.parametrize("status", ["", "x", "-1", "99999999999"])
def test_a_status_that_is_no_number_is_unknown(status: str) -> None:
    call, data = served(("headers", ANSWER), ("last", [("grpc-status", status)]))
    call.receive(data)
    assert call.status == 2


def test_an_end_without_a_status_is_an_error() -> None:
    call, data = served(("headers", ANSWER), ("end", None))
    call.receive(data)
    assert call.status == 2


@pytest.mark.parametrize(
    "headers",
    [
        [(":status", "404"), ("content-type", "application/grpc")],
        [(":status", "200"), ("content-type", "text/html")],
        [(":status", "200")],
    ],
)
def test_an_answer_that_is_no_grpc_is_refused(headers: list[tuple[str, str]]) -> None:
    call, data = served(("headers", headers))
    with pytest.raises(BadAnswer):
        call.receive(data)


def test_a_compressed_or_oversize_message_is_refused() -> None:
    for prefix in (b"\1\0\0\0\1x", b"\0\xff\xff\xff\xff"):
        call, data = served(("headers", ANSWER), ("data", prefix))
        with pytest.raises(BadAnswer):
            call.receive(data)


def test_a_service_that_goes_away_before_it_took_the_call_lets_it_be_repeated() -> None:
    call = Exchange("list", b"", half_close=True)
    with pytest.raises(NotProcessed):
        call.receive(frames.frame(frames.GOAWAY, 0, 0, bytes(8)))
    call = Exchange("list", b"", half_close=True)
    with pytest.raises(NotProcessed):
        call.receive(frames.frame(frames.RST_STREAM, 0, 1, (7).to_bytes(4, "big")))


def test_a_service_that_finishes_the_call_while_it_goes_away_is_waited_for() -> None:
    call, data = served(("headers", ANSWER), ("last", [("grpc-status", "0")]))
    goaway = frames.frame(frames.GOAWAY, 0, 0, (2**31 - 1).to_bytes(4, "big") + bytes(4))
    assert call.receive(goaway) == []
    call.receive(data)
    assert call.status == 0


def test_a_call_that_was_answered_is_never_repeated_whatever_the_service_says() -> None:
    call, data = served(("headers", ANSWER), ("data", grpc.frame(b"half")))
    assert call.receive(data) == [b"half"]
    call.receive(frames.frame(frames.RST_STREAM, 0, 1, frames.REFUSED_STREAM.to_bytes(4, "big")))
    assert call.status == 14


def test_a_broken_off_call_is_an_error() -> None:
    call = Exchange("list", b"", half_close=True)
    call.receive(frames.frame(frames.RST_STREAM, 0, 1, (8).to_bytes(4, "big")))
    assert call.status == 14


def test_the_client_s_numbers_are_those_of_grpc() -> None:
    known = {name: number for name, number in vars(Status).items() if name.isupper()}
    assert known == {name: status.Status[name].value for name in known} != {}
