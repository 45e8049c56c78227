"""TLS client: a context, and a handshake over a blocking socket.

Uses `_ssl`, the C part of the standard library's `ssl`, whose Python part takes 10 ms to import
(enums, regular expressions, base64). `_ssl` is private, so if it differs, the public module is
used: same protocol, same checks.
"""

from __future__ import annotations

try:
    from _ssl import (
        CERT_NONE,
        CERT_REQUIRED,
        PROTOCOL_TLS_CLIENT,
        SSLCertVerificationError,
        SSLEOFError,
        SSLError,
        SSLZeroReturnError,
    )
    from _ssl import _SSLContext as Context
except ImportError:  # pragma: no cover - a Python whose _ssl is built differently
    from ssl import (
        CERT_NONE,
        CERT_REQUIRED,
        PROTOCOL_TLS_CLIENT,
        SSLCertVerificationError,
        SSLEOFError,
        SSLError,
        SSLZeroReturnError,
    )
    from ssl import SSLContext as Context

from client.terminal.console import HANDLE_SIGNALS_EVERY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from client.transport.dial import Socket

__all__ = [
    "HUNG_UP",
    "Context",
    "SSLCertVerificationError",
    "SSLError",
    "Stream",
    "connect",
    "make_context",
    "present",
]

# Errors of a handshake if the peer closes the connection. Python lets OpenSSL accept an end without
# close_notify as an orderly one.
HUNG_UP = (SSLEOFError, SSLZeroReturnError, ConnectionResetError, BrokenPipeError)

SERVER_NAME = "localhost"  # passed to C as it is, without the tables of encodings.idna
ALPN_H2 = b"\x02h2"
TLS_1_2 = 0x0303
CHUNK = 65_536  # bytes a read: a whole TLS record and more


class Stream:
    """An encrypted, blocking connection with a time-out for each read and write."""

    def __init__(self, session: Any, socket: Socket, timeout: float | None) -> None:
        self._session = session
        self._socket = socket  # the session holds it weakly
        self._timeout = timeout

    def write(self, data: bytes) -> None:
        """Raises TimeoutError, OSError."""
        self._socket.settimeout(self._timeout)
        view = memoryview(data)
        while view:
            view = view[self._session.write(view) :]

    def read(self) -> bytes:
        """Some bytes; none if the peer has closed the connection. Raises TimeoutError."""
        try:
            return bytes(_wait(self._socket, self._timeout, lambda: self._session.read(CHUNK)))
        except (SSLZeroReturnError, SSLEOFError, ConnectionResetError):
            return b""

    def set_timeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def close(self) -> None:
        self._socket.close()


def make_context(roots: str | None) -> Context:
    """`roots`: PEM text to verify the server against; None verifies nothing. Raises SSLError."""
    context = Context(PROTOCOL_TLS_CLIENT)
    context.minimum_version = TLS_1_2
    context._set_alpn_protocols(ALPN_H2)  # type: ignore[attr-defined]
    if roots is None:
        context.check_hostname = False
        context.verify_mode = CERT_NONE
    else:
        context.check_hostname = True
        context.verify_mode = CERT_REQUIRED
        context.load_verify_locations(cadata=roots)
    return context


def present(context: Context, certificate: str, key: str) -> None:
    """Load this client's certificate. Raises SSLError, OSError."""
    context.load_cert_chain(certificate, key, "")  # "": never ask the terminal for a password


def connect(context: Context, socket: Socket) -> Stream:
    """Handshake. Raises SSLError, OSError."""
    session = context._wrap_socket(  # type: ignore[attr-defined]
        socket, False, server_hostname=SERVER_NAME
    )
    timeout = socket.gettimeout()
    _wait(socket, timeout, session.do_handshake)
    return Stream(session, socket, timeout)


def _wait(socket: Socket, seconds: float | None, step: Callable[[], Any]) -> Any:
    """The result of `step`, which is repeated after a time-out. Raises TimeoutError."""
    left = seconds
    while True:
        now = HANDLE_SIGNALS_EVERY if left is None else min(left, HANDLE_SIGNALS_EVERY)
        socket.settimeout(now)
        try:
            return step()
        except TimeoutError:
            if left is not None:
                left -= now
                if left <= 0:
                    raise
