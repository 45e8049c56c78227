"""TLS client: a context, and a handshake over a blocking socket."""

from __future__ import annotations

from client.terminal.console import HANDLE_SIGNALS_EVERY
from client.transport import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any


if TYPE_CHECKING or not sockets.BARE:
    from ssl import (
        CERT_NONE,
        CERT_REQUIRED,
        PROTOCOL_TLS_CLIENT,
        SSLCertVerificationError,
        SSLContext,
        SSLEOFError,
        SSLError,
        SSLSocket,
        SSLWantReadError,
        SSLWantWriteError,
        SSLZeroReturnError,
    )
else:
    from _ssl import (
        CERT_NONE,
        CERT_REQUIRED,
        PROTOCOL_TLS_CLIENT,
        SSLCertVerificationError,
        SSLEOFError,
        SSLError,
        SSLWantReadError,
        SSLWantWriteError,
        SSLZeroReturnError,
    )
    from _ssl import _SSLContext as SSLContext

__all__ = [
    "HUNG_UP",
    "SSLCertVerificationError",
    "SSLContext",
    "SSLError",
    "Stream",
    "connect",
    "make_context",
    "present",
]

# Errors of a handshake if the peer closes the connection. Python lets OpenSSL accept an end without
# close_notify as an orderly one.
HUNG_UP = (SSLEOFError, SSLZeroReturnError, ConnectionResetError, BrokenPipeError)

SERVER_NAME = "localhost"
ALPN = "h2"
TLS_1_2 = 0x0303  # its number on the wire
CHUNK = 65_536  # bytes a read: a whole TLS record and more


class Stream:
    """An encrypted, blocking connection with a time-out for each read and write."""

    def __init__(self, socket: Socket, session: SSLSocket, timeout: float | None) -> None:
        self._socket = socket
        self._session = session
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

    def fileno(self) -> int:
        return self._socket.fileno()

    def unblock(self) -> None:
        """From now on `read_some` and `write_some` are to be used."""
        self._socket.setblocking(False)

    def read_some(self) -> bytes | None:
        """What is there; None if nothing is, no bytes if the peer has closed the connection.
        Raises OSError."""
        try:
            return self._session.read(CHUNK)
        except (SSLWantReadError, SSLWantWriteError):
            return None
        except (SSLZeroReturnError, SSLEOFError, ConnectionResetError):
            return b""

    def write_some(self, data: bytes | memoryview) -> int:
        """How much of it was written. Raises OSError."""
        try:
            return self._session.write(data)
        except (SSLWantReadError, SSLWantWriteError):
            return 0

    def set_timeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def close(self) -> None:
        self._socket.close()


def make_context(roots: str | None) -> SSLContext:
    """`roots`: PEM text to verify the server against; None verifies nothing. Raises SSLError."""
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.minimum_version = TLS_1_2  # type: ignore[assignment]  # an enumeration only in `ssl`
    _offer(context)
    if roots is None:
        context.check_hostname = False
        context.verify_mode = CERT_NONE
    else:
        context.check_hostname = True
        context.verify_mode = CERT_REQUIRED
        context.load_verify_locations(cadata=roots)
    return context


def present(context: SSLContext, certificate: str, key: str) -> None:
    """Load this client's certificate. Raises SSLError, OSError."""
    context.load_cert_chain(certificate, key, "")  # "": never ask the terminal for a password


def connect(context: SSLContext, socket: Socket, overlap: Callable[[], None]) -> Stream:
    """Handshake; `overlap` is done while the server's answer is on its way. The socket belongs to
    the stream then, and is closed if there will be none. Raises SSLError, OSError."""
    timeout = socket.gettimeout()
    socket, session = _wrapped(context, socket)
    try:
        socket.setblocking(False)
        try:
            session.do_handshake()  # sends the first part
        except (SSLWantReadError, SSLWantWriteError):
            overlap()
        _wait(socket, timeout, session.do_handshake)
    except BaseException:
        socket.close()
        raise
    return Stream(socket, session, timeout)


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


# -- where `ssl` and the module of C that is beneath it have different names ----------------------


def _offer(context: Any) -> None:
    """Let the server choose HTTP/2."""
    if sockets.BARE:
        context._set_alpn_protocols(bytes((len(ALPN),)) + ALPN.encode())
    else:
        context.set_alpn_protocols([ALPN])


def _wrapped(context: Any, socket: Socket) -> tuple[Socket, SSLSocket]:
    """The socket of the connection from now on, and what encrypts on it."""
    if sockets.BARE:
        return socket, context._wrap_socket(socket, False, SERVER_NAME)
    session = context.wrap_socket(
        socket, server_hostname=SERVER_NAME, do_handshake_on_connect=False
    )
    return session, session
