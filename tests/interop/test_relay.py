"""`relay` with Google's gRPC as its client, and a socket in place of an instance's SSH server."""

from __future__ import annotations

import hashlib
import os
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from multipassd.transport.quota import limits
from protocol.certificates import make_client
from protocol.messages.guests import RelayReply, RelayRequest
from protocol.status import Status
from tests.interop.grpc_client import GrpcClient
from tests.interop.relay_service import RELAY, RelayService
from tests.waiting import PATIENCE, until

LARGE = 8 << 20
CHUNK = 60_000

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@pytest.fixture
def guest() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        yield listening


@pytest.fixture
def service(tmp_path: Path, guest: socket.socket) -> Iterator[RelayService]:
    with RelayService(tmp_path, guest) as running:
        yield running


@pytest.fixture
def client(service: RelayService) -> Iterator[GrpcClient]:
    with GrpcClient(service, make_client()) as made:
        yield made


class Relayed:
    """One call: `send` and `end`, `replies`, and what it failed with."""

    def __init__(self, client: GrpcClient, *first: bytes | RelayRequest) -> None:
        self._requests: queue.Queue[bytes | None] = queue.Queue()
        for each in first:
            self._requests.put(each if isinstance(each, bytes) else each.encode())
        self._call: Any = client._channel.stream_stream(RELAY)(
            iter(self._requests.get, None), timeout=4 * PATIENCE
        )

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK):
            self._requests.put(RelayRequest(data=data[start : start + CHUNK]).encode())

    def end(self) -> None:
        self._requests.put(None)

    def reply(self) -> RelayReply:
        return RelayReply.decode(next(self._call))

    def replies(self) -> list[RelayReply]:
        return [RelayReply.decode(each) for each in self._call]

    def cancel(self) -> None:
        self._call.cancel()
        self.end()

    def failure(self) -> tuple[Status, str]:
        """Once it has failed."""
        with pytest.raises(grpc.RpcError) as raised:
            self.replies()
        self.end()
        return Status(raised.value.code().value[0]), raised.value.details()


def relay(client: GrpcClient, guest: socket.socket) -> tuple[Relayed, socket.socket]:
    """A call that has reached its guest."""
    call = Relayed(client, RelayRequest(instance_name="guest"))
    inside, _ = guest.accept()
    inside.settimeout(PATIENCE)
    assert call.reply() == RelayReply()
    return call, inside


def read_all(inside: socket.socket) -> bytes:
    return b"".join(iter(lambda: inside.recv(1 << 16), b""))


def send_all(inside: socket.socket, data: bytes) -> None:
    inside.sendall(data)
    inside.shutdown(socket.SHUT_WR)


def test_much_goes_both_ways_at_once_and_arrives_as_it_was(
    client: GrpcClient, guest: socket.socket
) -> None:
    call, inside = relay(client, guest)
    up, down = os.urandom(LARGE), os.urandom(LARGE)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(read_all(inside)))
    writer = threading.Thread(target=lambda: send_all(inside, down))
    reader.start()
    writer.start()
    call.send(up)
    call.end()
    replies = call.replies()
    for thread in (reader, writer):
        thread.join()
    assert hashlib.sha256(heard[0]).digest() == hashlib.sha256(up).digest()
    assert b"".join(each.data for each in replies) == down
    assert [each.ended for each in replies].count(True) == 1 and replies[-1].ended


def test_each_side_may_end_first_and_still_hears_the_other(
    client: GrpcClient, guest: socket.socket
) -> None:
    call, inside = relay(client, guest)
    call.send(b"question")
    call.end()
    assert read_all(inside) == b"question"
    inside.sendall(b"answer")
    inside.close()
    assert call.replies() == [RelayReply(data=b"answer"), RelayReply(ended=True)]

    call, inside = relay(client, guest)
    inside.shutdown(socket.SHUT_WR)
    assert call.reply() == RelayReply(ended=True)
    call.send(b"late")
    call.end()
    assert read_all(inside) == b"late"
    assert call.replies() == []


def test_the_first_message_may_bring_bytes(client: GrpcClient, guest: socket.socket) -> None:
    call = Relayed(client, RelayRequest(instance_name="guest", data=b"SSH-2.0"))
    inside, _ = guest.accept()
    inside.settimeout(PATIENCE)
    assert inside.recv(7, socket.MSG_WAITALL) == b"SSH-2.0"
    call.cancel()
    assert inside.recv(1) == b""  # who hangs up takes the guest's connection along


def test_a_guest_that_does_not_read_stops_the_sender_in_bounded_memory(
    client: GrpcClient, guest: socket.socket, service: RelayService
) -> None:
    call, inside = relay(client, guest)
    data = os.urandom(LARGE)
    call.send(data)
    call.end()
    until(lambda: service.held() > limits.STREAM_WINDOW // 2, "the windows are full")
    assert service.held() <= limits.STREAM_WINDOW
    assert read_all(inside) == data
    inside.close()
    assert call.replies() == [RelayReply(ended=True)]
    assert service.held() == 0


def test_a_guest_that_does_not_answer_is_said_with_its_name(
    client: GrpcClient, guest: socket.socket
) -> None:
    guest.close()
    status, message = Relayed(client, RelayRequest(instance_name="guest")).failure()
    assert status is Status.UNAVAILABLE
    assert message.startswith('The SSH server of "guest" does not answer: Connection refused.')


def test_a_guest_that_breaks_off_ends_the_call(client: GrpcClient, guest: socket.socket) -> None:
    call, inside = relay(client, guest)
    inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # RST
    inside.close()
    status, message = call.failure()
    assert status is Status.UNAVAILABLE
    assert message.startswith('The connection to the SSH server of "guest" broke:')


def test_the_call_of_a_client_that_is_not_trusted_any_more_ends(
    client: GrpcClient, guest: socket.socket, service: RelayService
) -> None:
    call, inside = relay(client, guest)
    service.withdraw_trust()
    assert inside.recv(1) == b""
    assert call.failure()[0] is Status.UNAUTHENTICATED
    again = Relayed(client, RelayRequest(instance_name="guest"))
    assert again.failure()[0] is Status.UNAUTHENTICATED


def test_a_service_that_stops_says_so_and_relays_no_more(
    client: GrpcClient, guest: socket.socket, service: RelayService
) -> None:
    call, inside = relay(client, guest)
    service.stop_calls()
    assert inside.recv(1) == b""
    stops = "The service on the instance's host stops or restarts. Please try again."
    assert call.failure() == (Status.UNAVAILABLE, stops)
    again = Relayed(client, RelayRequest(instance_name="guest"))
    assert again.failure() == (Status.UNAVAILABLE, stops)


def test_a_person_has_so_many_and_a_place_is_free_again(
    client: GrpcClient, guest: socket.socket
) -> None:
    begun = [relay(client, guest) for _ in range(limits.STREAMS_PER_PERSON)]
    status, message = Relayed(client, RelayRequest(instance_name="guest")).failure()
    assert status is Status.RESOURCE_EXHAUSTED
    assert f"{limits.STREAMS_PER_PERSON} connections to instances are open" in message
    call, inside = begun.pop()
    call.end()
    inside.close()
    call.replies()
    begun.append(relay(client, guest))
    for call, _ in begun:
        call.cancel()


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (RelayRequest(instance_name="guest").encode()[:-1], "malformed request"),
        (b"\x0a\x01\xff", "malformed request"),  # not UTF-8
        (bytes(limits.STREAMED_MESSAGE + 1), "is larger than"),
    ],
)
def test_a_first_message_that_is_none_is_refused(
    client: GrpcClient, first: bytes, why: str
) -> None:
    status, message = Relayed(client, first).failure()
    assert status in (Status.INTERNAL, Status.RESOURCE_EXHAUSTED)
    assert why in message


def test_a_later_message_that_is_none_ends_the_call(
    client: GrpcClient, guest: socket.socket
) -> None:
    for wrong in (b"\x12\x05a", bytes(limits.STREAMED_MESSAGE + 1)):
        call, inside = relay(client, guest)
        call._requests.put(wrong)
        assert call.failure()[0] in (Status.INTERNAL, Status.RESOURCE_EXHAUSTED)
        assert inside.recv(1) == b""


def test_a_call_without_a_message_is_refused(client: GrpcClient) -> None:
    call = Relayed(client)
    call.end()
    assert call.failure() == (
        Status.INTERNAL,
        "malformed request: the call ended before its message",
    )
