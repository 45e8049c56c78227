"""A foreign client: Google's gRPC, with this project's messages as its serialisers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import grpc

from protocol.certificates import KeyPair
from protocol.codec import Message
from protocol.grpc import path
from protocol.methods import BY_PATH
from protocol.status import Status
from tests.waiting import PATIENCE

SECONDS = 4 * PATIENCE  # of a call, in which a test waits for this and runs that


class Answer(NamedTuple):
    status: Status
    message: str
    replies: list[Any]


class Service(Protocol):
    """What a client must know of the service that it calls; tools.daemon.Daemon is one."""

    @property
    def address(self) -> str: ...

    @property
    def root_cert(self) -> Path: ...


class GrpcClient:
    """One channel to `address`; a context manager. `pair` is the client's certificate, if any."""

    def __init__(self, daemon: Service, pair: KeyPair | None = None, address: str = "") -> None:
        key, certificate = (pair.key, pair.certificate) if pair else (None, None)
        self._channel = grpc.secure_channel(
            address or daemon.address,
            grpc.ssl_channel_credentials(daemon.root_cert.read_bytes(), key, certificate),
            options=[
                ("grpc.ssl_target_name_override", "localhost"),
                ("grpc.default_authority", "localhost"),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )

    def __enter__(self) -> GrpcClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def converse(self, name: str, first: Message, answer: Message) -> Answer:
        """Call a method that asks: the second request follows the first reply."""
        known = BY_PATH[path(name)]
        stream = self._channel.stream_stream(
            known.path,
            request_serializer=lambda message: message.encode(),
            response_deserializer=known.reply.decode,
        )
        asked = threading.Event()

        def requests() -> Iterator[Message]:
            yield first
            asked.wait(SECONDS)
            yield answer

        replies: list[Any] = []
        try:
            for reply in stream(requests(), timeout=SECONDS):
                replies.append(reply)
                asked.set()
        except grpc.RpcError as error:
            return Answer(Status(error.code().value[0]), error.details(), replies)
        finally:
            asked.set()
        return Answer(Status.OK, "", replies)

    def call(self, name: str, /, *, half_close: bool = True, **fields: Any) -> Answer:
        """Call `name` (`Trust/clients` for the project's own) with a request of `fields`.

        Without `half_close` the client keeps its side open until it has its answer, as 1.16 does.
        """
        service, _, method = name.rpartition("/")
        known = BY_PATH[path(method, f"multipass.{service or 'Rpc'}")]
        stream = self._channel.stream_stream(
            known.path,
            request_serializer=lambda message: message.encode(),
            response_deserializer=known.reply.decode,
        )
        answered = threading.Event()
        replies: list[Any] = []
        try:
            requests = _requests(known.request(**fields), None if half_close else answered)
            for reply in stream(requests, timeout=SECONDS):
                replies.append(reply)
        except grpc.RpcError as error:
            return Answer(Status(error.code().value[0]), error.details(), replies)
        finally:
            answered.set()
        return Answer(Status.OK, "", replies)

    def unary(self, name: str, request: bytes = b"") -> Answer:
        """Call by path with raw bytes, as a unary call."""
        try:
            reply = self._channel.unary_unary(name)(request, timeout=SECONDS)
        except grpc.RpcError as error:
            return Answer(Status(error.code().value[0]), error.details(), [])
        return Answer(Status.OK, "", [reply])


def _requests(request: Any, answered: threading.Event | None) -> Iterator[Any]:
    yield request
    if answered is not None:
        answered.wait(SECONDS)
