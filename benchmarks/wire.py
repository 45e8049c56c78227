"""A minimal client, blocking TLS and HTTP/2, so that the server's time dominates.

It supports calls with one request and one reply message, in small frames.
"""

import socket
import ssl
import time
from pathlib import Path

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
# The connection's window is opened once to its maximum, so that no call waits for credit.
WHOLE_WINDOW = (2**31 - 1 - 65535).to_bytes(4, "big")
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
HEADER_SIZE = 9
TIMEOUT = 30.0


def context(root_cert: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(root_cert))
    made.set_alpn_protocols(["h2"])
    made.load_cert_chain(certificate, key)
    return made


class Connection:
    """One TLS connection with HTTP/2."""

    def __init__(self, path: Path, tls: ssl.SSLContext):
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.connect(
            str(path)
        )  # blocks if the listen queue is full, which is an error with a time-out
        plain.settimeout(TIMEOUT)
        self._socket = tls.wrap_socket(plain, server_hostname="localhost")
        self._opening = (
            PREFACE + frame(SETTINGS, 0, 0, b"") + frame(WINDOW_UPDATE, 0, 0, WHOLE_WINDOW)
        )
        self._stream = -1
        self._buffer = b""

    def call(self, path: str, message: bytes) -> bytes:
        """The reply's message; an error if the call was refused."""
        self._ask(path, message)
        reply = b""
        while True:
            kind, flags, stream, payload = self._read_frame()
            if kind == SETTINGS and not flags & ACK:
                self._socket.sendall(frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                self._socket.sendall(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY:
                raise ConnectionError(f"GOAWAY {payload!r}")
            elif stream == self._stream:
                if kind == DATA:
                    reply += payload
                if flags & END_STREAM and kind in (DATA, HEADERS):
                    if len(reply) < 5:
                        raise RuntimeError(f"{path} was refused")
                    return reply[5:]

    def call_until(self, path: str, message: bytes, words: bytes) -> None:
        """Read replies until one holds these words; the call goes on, so close the connection."""
        self._ask(path, message)
        while True:
            kind, flags, stream, payload = self._read_frame()
            if kind == SETTINGS and not flags & ACK:
                self._socket.sendall(frame(SETTINGS, ACK, 0, b""))
            elif stream == self._stream and kind == DATA and words in payload:
                return
            elif stream == self._stream and flags & END_STREAM:
                raise RuntimeError(f"{path} ended: {payload!r}")

    def rate_at_once(self, path: str, message: bytes, at_once: int, seconds: float) -> float:
        """Calls a second with ``at_once`` in flight: each reply is followed by a new request."""
        body = b"\0" + len(message).to_bytes(4, "big") + message
        block = header_block(path)

        def requests(count: int) -> bytes:
            made = bytearray()
            for _ in range(count):
                self._stream += 2
                made += frame(HEADERS, END_HEADERS, self._stream, block)
                made += frame(DATA, END_STREAM, self._stream, body)
            return bytes(made)

        self._socket.sendall(self._opening + requests(at_once))
        self._opening = b""
        started = time.perf_counter()
        finished = answered = 0
        while (now := time.perf_counter()) < started + seconds:
            ended = 0
            while True:
                kind, flags, _, payload = self._read_frame()
                if kind in (SETTINGS, PING) and not flags & ACK:
                    self._socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
                answered += kind == DATA
                ended += bool(kind == HEADERS and flags & END_STREAM)
                if len(self._buffer) < HEADER_SIZE:
                    break
            finished += ended
            if ended:
                self._socket.sendall(requests(ended))
        if answered < finished:
            raise RuntimeError(f"{path} was refused")
        return finished / (now - started)

    def close(self) -> None:
        self._socket.close()

    def _ask(self, path: str, message: bytes) -> None:
        self._stream += 2
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self._socket.sendall(
            self._opening
            + frame(HEADERS, END_HEADERS, self._stream, header_block(path))
            + frame(DATA, END_STREAM, self._stream, body)
        )
        self._opening = b""

    def _read_frame(self) -> tuple[int, int, int, bytes]:
        head = self._read(HEADER_SIZE)
        payload = self._read(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:9], "big"), payload

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionError("closed by the server")
            self._buffer += chunk
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
    )


def header_block(path: str) -> bytes:
    """HPACK with nothing indexed and nothing compressed (RFC 7541, 6.1 and 6.2.2)."""
    return (
        b"\x83\x87"  # :method POST, :scheme https
        + b"\x04" + text(path)
        + b"\x01" + text("localhost")  # :authority
        + b"\x0f\x10" + text("application/grpc")  # content-type
        + b"\x00" + text("te") + text("trailers")
    )  # fmt: skip


def text(value: str) -> bytes:
    return bytes((len(value),)) + value.encode("ascii")
