"""Does the service answer? One call of `wait_ready`, without a certificate: it enrols no client."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from protocol import grpc, http2_client, huffman
from protocol.certificates import LOCALHOST
from protocol.http2_frames import ProtocolError
from protocol.messages.access import WaitReadyRequest

SECONDS = 10.0  # a daemon that systemd wakes first has to start
CHUNK = 65_536
CREDENTIALS = struct.Struct("3i")  # pid, uid, gid of SO_PEERCRED
OK = "0"


@dataclass(frozen=True)
class Finding:
    """`listener` is the uid that listens; `problem` is empty if the service answered."""

    listener: int | None
    problem: str = ""


def ask(path: Path, root_certificate: Path) -> Finding:
    """Never raises for what is wrong at the other end."""
    deadline = time.monotonic() + SECONDS
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            _connect(connection, path)
        except FileNotFoundError:
            return Finding(None, f"there is no socket {path}")
        except ConnectionRefusedError:
            return Finding(None, f"no process listens on {path}")
        except BlockingIOError:
            return Finding(None, f"too many callers wait at {path}: it was full for {SECONDS:g} s")
        except OSError as error:
            return Finding(None, f"{path} can't be connected to: {error.strerror or error}")
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        uid = CREDENTIALS.unpack(packed)[1]
        try:
            return Finding(uid, _call(connection, _context(root_certificate), deadline))
        except TimeoutError:
            return Finding(
                uid, f"the service took the connection but gave no answer in {SECONDS:g} s"
            )
        except ssl.SSLCertVerificationError as error:
            why = f"its certificate does not fit {root_certificate}: {error.verify_message}"
            return Finding(uid, f"clients can't verify the service: {why}")
        except (OSError, ProtocolError) as error:
            return Finding(uid, f"the service broke the connection off: {error}")


def _connect(connection: socket.socket, path: Path) -> None:
    """Wait where as many callers wait already as the socket has room for. Raises OSError."""
    # The kernel's own limit: with Python's, a full queue is an error at once.
    limit = struct.pack("ll", int(SECONDS), int(SECONDS % 1 * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    connection.connect(str(path))
    connection.settimeout(SECONDS)


def _context(root_certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    try:
        context.load_verify_locations(cafile=root_certificate)
    except OSError:  # missing or broken is a finding of its own; ssl.SSLError is one, too
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _call(connection: socket.socket, context: ssl.SSLContext, deadline: float) -> str:
    """What is wrong with the answer; empty if nothing is."""
    with context.wrap_socket(connection, server_hostname=LOCALHOST) as stream:
        http = http2_client.Connection(huffman.decode)
        http.start(
            (
                (b":method", b"POST"),
                (b":scheme", b"https"),
                (b":authority", LOCALHOST.encode()),
                (b":path", grpc.path("wait_ready").encode()),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
            )
        )
        http.send(grpc.frame(WaitReadyRequest().encode()), end=True)
        fields: dict[str, str] = {}
        while True:
            stream.settimeout(max(0.001, deadline - time.monotonic()))
            stream.sendall(http.take_output())
            data = stream.recv(CHUNK)
            if not data:
                return "the service hung up without an answer"
            if _finished(http.receive(data), fields):
                break
    if fields.get("grpc-status") == OK:
        return ""
    message = grpc.decode_message(fields.get("grpc-message", "")) or "without a reason"
    return f"the service answered with status {fields.get('grpc-status', '?')}: {message!r}"


def _finished(events: list[http2_client.Event], fields: dict[str, str]) -> bool:
    """Is the call over? Its headers are added to `fields`."""
    over = False
    for event in events:
        if isinstance(event, http2_client.HeadersReceived):
            for name, value in event.headers:
                fields[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
            over = over or event.ended
        elif isinstance(event, http2_client.DataReceived):
            over = over or event.ended
        else:
            over = True  # a reset, or the end of the connection
    return over
