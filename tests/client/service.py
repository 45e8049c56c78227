"""A foreign service: Google's gRPC server, answering by functions of raw bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc

from protocol import certificates
from protocol.codec import Message
from protocol.messages.access import AuthenticateReply, AuthenticateRequest
from tests.client.program import Program

Answer = Callable[[Any, Any], Iterable[bytes]]
SKIPPING = "Skipping mount due to disabled mounts feature\n"  # of the primary instance
Connect = Callable[..., tuple[Program, "Service"]]


class Service:
    """Serves the calls in `answers` over TLS at `address` until it is closed."""

    def __init__(self, address: str, folder: Path, **answers: Answer) -> None:
        self.answers = dict(answers)
        self.requests: dict[str, list[bytes]] = {}
        root = certificates.make_root()
        self.root_certificate = folder / "root.pem"
        self.root_certificate.write_bytes(root.certificate)
        pair = certificates.make_server(root, ["localhost"])
        credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)])
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        self.port = self._server.add_secure_port(address, credentials)
        self._server.start()

    def close(self) -> None:
        self._server.stop(grace=None).wait()


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, service: Service) -> None:
        self._service = service

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]
        if method not in self._service.answers:
            return None
        return grpc.stream_stream_rpc_method_handler(self._answer(method))

    def _answer(self, method: str) -> Callable[[Any, Any], Iterable[bytes]]:
        def answer(requests: Any, context: Any) -> Iterable[bytes]:
            def noted() -> Iterable[bytes]:
                for request in requests:
                    self._service.requests.setdefault(method, []).append(request)
                    yield request

            yield from self._service.answers[method](iter(noted()), context)

        return answer


def replying(*replies: Any) -> Answer:
    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        yield from (reply.encode() for reply in replies)

    return answer


def failing(status: grpc.StatusCode, message: str) -> Answer:
    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        context.abort(status, message)
        return []

    return answer


def wants(passphrase: str, status: grpc.StatusCode) -> Answer:
    """A 1.16 service: it knows no rule for root."""

    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        if AuthenticateRequest.decode(next(requests)).passphrase != passphrase:
            context.abort(status, "no")
        return iter([AuthenticateReply().encode()])

    return answer


def detailed(status: grpc.StatusCode, message: str, details: Message, *replies: Message) -> Answer:
    """Fails with something for programs, as 1.16 does."""

    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        yield from (reply.encode() for reply in replies)
        context.set_trailing_metadata((("grpc-status-details-bin", details.encode()),))
        context.abort(status, message)

    return answer


def never(requests: Any, context: Any) -> Iterable[bytes]:
    """Answers after the caller's deadline."""
    next(requests)
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(60)
    return iter(())
