"""A TLS client on a raw socket, for tests that write their own HTTP/2 frames."""

from __future__ import annotations

import copy
import os
import resource
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, StreamEnded, StreamReset, TrailersReceived
from hyperframe.frame import Frame
from OpenSSL import SSL, crypto

from protocol.certificates import KeyPair, make_client
from protocol.grpc import frame, path
from tests.waiting import PATIENCE
from tools.daemon import Daemon

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GOOD = make_client()


class Closed(Exception):
    """The other side ended the connection."""


class TlsClient:
    """`send` and `receive` bytes; a context manager."""

    def __init__(
        self,
        daemon: Daemon,
        pair: KeyPair | None = None,
        alpn: tuple[bytes, ...] = (b"h2",),
        version: int | None = None,
    ) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if alpn:
            context.set_alpn_protos(list(alpn))
        if version is not None:
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
        if pair is not None:
            certificate = x509.load_pem_x509_certificate(pair.certificate)
            context.use_certificate(crypto.X509.from_cryptography(certificate))
            key = load_pem_private_key(pair.key, None)
            context.use_privatekey(crypto.PKey.from_cryptography_key(key))  # type: ignore[arg-type]
        self.socket = daemon.connect()
        self.socket.settimeout(PATIENCE)
        self._state = threading.Lock()  # OpenSSL takes one thread at a time
        self._wire = threading.Lock()  # and records must leave in order
        self._tls = SSL.Connection(context, None)
        self._tls.set_connect_state()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def hello(self) -> Self:
        """The first flight and the service's answer to it: it has taken the connection."""
        with suppress(SSL.WantReadError):
            self._tls.do_handshake()
        self._exchange()
        return self

    def handshake(self) -> Self:
        while True:
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                self._exchange()
            except SSL.Error as error:
                raise Closed(str(error)) from None
            else:
                self._flush(wait=True)
                return self

    @property
    def version(self) -> str:
        return self._tls.get_protocol_version_name()

    def send(self, data: bytes) -> None:
        try:
            for start in range(0, len(data), 16384):
                with self._state:
                    self._tls.send(data[start : start + 16384])
                self._flush(wait=True)
        except (OSError, SSL.Error) as error:
            raise Closed(str(error)) from None

    def receive(self) -> bytes:
        """What comes next; raises Closed when nothing more will."""
        while True:
            try:
                with self._state:
                    return self._tls.recv(1 << 16)
            except SSL.WantReadError:
                self._exchange()
            except SSL.Error as error:
                raise Closed(str(error)) from None

    def receive_all(self) -> bytes:
        """Everything until the other side closes."""
        data = b""
        with suppress(Closed):
            while True:
                data += self.receive()
        return data

    def _exchange(self) -> None:
        self._flush(wait=False)
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError as error:
            raise Closed(str(error)) from None
        if not data:
            raise Closed("end of file")
        with self._state:
            self._tls.bio_write(data)

    def _flush(self, wait: bool) -> None:
        """In order, as two threads may be at it. Who reads does not wait for who writes: the
        service may read no more before its answers are taken."""
        if not self._wire.acquire(blocking=wait):
            return
        try:
            while data := self._output():
                self.socket.sendall(data)
        finally:
            self._wire.release()

    def _output(self) -> bytes:
        with self._state, suppress(SSL.WantReadError):
            return self._tls.bio_read(1 << 16)
        return b""


def frames(data: bytes) -> list[Frame]:
    """Cut whole frames off what a service sent."""
    found = []
    while len(data) >= 9:
        one, length = Frame.parse_frame_header(memoryview(data[:9]))
        one.parse_body(memoryview(data[9 : 9 + length]))
        found.append(one)
        data = data[9 + length :]
    return found


HEADERS = [
    (":method", "POST"),
    (":scheme", "https"),
    (":path", path("list")),
    (":authority", "localhost"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


class H2Client(TlsClient):
    """h2 on top: whole calls, or a connection to misuse."""

    def __init__(
        self,
        daemon: Daemon,
        pair: KeyPair | None = None,
        amid_handshake: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(daemon, pair)
        self.hello()
        amid_handshake()
        self.handshake()
        self.http2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.http2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.send(self.http2.data_to_send())

    def events(self) -> list[Event]:
        found = self.http2.receive_data(self.receive())
        self.flush()
        return found

    def begin(self, method: str = "list", stream: int | None = None) -> int:
        stream = stream or self.http2.get_next_available_stream_id()
        headers = [(k, path(method) if k == ":path" else v) for k, v in HEADERS]
        self.http2.send_headers(stream, headers)
        self.flush()
        return stream

    def answer(self, stream: int) -> tuple[str, str]:
        """The status and message of the call on `stream`."""
        trailers: dict[str, str] = {}
        while True:
            for event in self.events():
                headers = getattr(event, "headers", None)
                if getattr(event, "stream_id", None) != stream:
                    continue
                if headers:
                    trailers |= dict(headers)
                if isinstance(event, DataReceived):
                    self.http2.acknowledge_received_data(event.flow_controlled_length, stream)
                if isinstance(event, (TrailersReceived, StreamEnded, StreamReset)):
                    return trailers.get("grpc-status", ""), trailers.get("grpc-message", "")

    def call(self, method: str = "list", message: bytes = b"") -> tuple[str, str]:
        stream = self.begin(method)
        self.http2.send_data(stream, frame(message))
        self.flush()
        return self.answer(stream)


class CalledBy(Daemon):
    """The same daemon, called as another user. Root only."""

    def __init__(self, daemon: Daemon, uid: int) -> None:
        self.__dict__.update(daemon.__dict__)
        self._uid = uid

    def connect(self) -> socket.socket:
        os.seteuid(self._uid)
        try:
            return super().connect()
        finally:
            os.seteuid(0)


class Victim:
    """A daemon with a trusted client, and what must hold after every attack on it. `daemon` is how
    attackers reach it."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = self._own = daemon
        assert self.call() == ("0", "")
        self._memory = self.memory()

    def call(self) -> tuple[str, str]:
        with H2Client(self._own, GOOD) as client:
            return client.call()

    def attacked_by(self, uid: int) -> Victim:
        """The same for attacks of another user. Root only."""
        victim = copy.copy(self)
        victim.daemon = CalledBy(self._own, uid)
        return victim

    def memory(self) -> int:
        with open(f"/proc/{self.daemon.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def assert_well(self, growth: int = 48 << 20) -> None:
        """It serves the trusted client, its log has no traceback, its memory is within bounds."""
        assert self.call() == ("0", "")
        log = self.daemon.log_text()
        assert "Traceback" not in log and "Fatal" not in log and "xception" not in log, log
        assert self.memory() - self._memory < growth
        assert os.path.exists(self.daemon.socket_path)
