"""What an untrusted peer may try on its HTTP/2 connection; afterwards the daemon is as before."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from h2.events import ResponseReceived
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multipassd.transport.quota import limits
from protocol.certificates import make_client
from protocol.grpc import frame
from tests.multipassd.transport.tls_client import (
    HEADERS,
    PREFACE,
    Closed,
    H2Client,
    TlsClient,
    Victim,
    frames,
)
from tests.waiting import PATIENCE, until
from tools.daemon import Daemon
from tools.sandbox import Sandbox

STRANGER = make_client()
STRANGERS = itertools.count(2_000_500_000)  # uids that no account has: each test a fresh one
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

HELLO = PREFACE + SettingsFrame(0).serialize()


@pytest.fixture(scope="module")
def running() -> Iterator[Victim]:
    sandbox = Sandbox.create()
    daemon = Daemon(sandbox).start()
    try:
        yield Victim(daemon)
        daemon.stop()
    finally:
        sandbox.remove()


@pytest.fixture(params=["its own user", pytest.param("another user", marks=pytest.mark.root)])
def victim(running: Victim, request: pytest.FixtureRequest) -> Iterator[Victim]:
    """The daemon's own user is not rationed; what another sends is taken in small steps."""
    other = request.param == "another user"
    yield running.attacked_by(next(STRANGERS)) if other else running
    running.assert_well()


def headers(stream: int = 1, without: str = "", flags: tuple[str, ...] = ("END_HEADERS",)) -> Frame:
    block = Encoder().encode([(k, v) for k, v in HEADERS if k != without])
    return HeadersFrame(stream, data=block, flags=flags)


def continuations(count: int) -> bytes:
    first = headers(flags=()).serialize()
    return first + ContinuationFrame(1, data=b"").serialize() * count


def resets(count: int) -> bytes:
    encoder = Encoder()
    parts = []
    for number in range(count):
        stream = 2 * number + 1
        block = encoder.encode(HEADERS)
        parts.append(HeadersFrame(stream, data=block, flags=("END_HEADERS",)).serialize())
        parts.append(RstStreamFrame(stream, error_code=8).serialize())
    return b"".join(parts)


def raw(kind: int, stream: int, length: int, body: bytes = b"") -> bytes:
    return length.to_bytes(3, "big") + bytes([kind, 0]) + stream.to_bytes(4, "big") + body


MALFORMED: dict[str, bytes] = {
    "bad preface": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "half a preface and garbage": PREFACE[:12] + b"\0" * 40,
    "DATA on stream 0": HELLO + raw(0, 0, 4, b"1234"),
    "DATA on an idle stream": HELLO + DataFrame(1, b"x").serialize(),
    "a frame larger than allowed": HELLO + raw(0, 1, 1 << 20, bytes(1 << 16)),
    "the largest length there is": HELLO + raw(9, 1, (1 << 24) - 1),
    "HPACK garbage": HELLO + HeadersFrame(1, data=b"\xff" * 40, flags=("END_HEADERS",)).serialize(),
    "HPACK index without entry": HELLO
    + HeadersFrame(1, data=b"\xfe", flags=("END_HEADERS",)).serialize(),
    "header bomb": HELLO
    + HeadersFrame(
        1,
        data=b"\x40\x01a\x7f\x81\x1e" + b"b" * 4000 + b"\xbe" * 9000,
        flags=("END_HEADERS",),
    ).serialize(),
    "a header that is not UTF-8": HELLO
    + HeadersFrame(1, data=b"\x00\x01a\x02\xff\xfe", flags=("END_HEADERS",)).serialize(),
    "CONTINUATION flood": HELLO + continuations(100_000),
    "CONTINUATION without HEADERS": HELLO + ContinuationFrame(1, data=b"").serialize(),
    "another frame inside a header block": HELLO + continuations(1) + HELLO[len(PREFACE) :],
    "an even stream": HELLO + headers(2).serialize(),
    "a stream that goes back": HELLO + headers(5).serialize() + headers(3).serialize(),
    "no :method": HELLO + headers(without=":method").serialize(),
    "no :path": HELLO + headers(without=":path").serialize(),
    "window overflow": HELLO + WindowUpdateFrame(0, (1 << 31) - 1).serialize() * 2,
    "window update of nothing": HELLO + raw(8, 0, 4, bytes(4)),
    "SETTINGS of odd length": HELLO + raw(4, 0, 5, bytes(5)),
    "SETTINGS with a bad value": HELLO + SettingsFrame(0, {4: 1 << 31}).serialize(),
    "SETTINGS ack with a body": HELLO + bytes([0, 0, 6, 4, 1, 0, 0, 0, 0]) + bytes(6),
    "RST_STREAM of an idle stream": HELLO + RstStreamFrame(99, 0).serialize(),
    "PING of 7 bytes": HELLO + raw(6, 0, 7, bytes(7)),
    "PUSH_PROMISE": HELLO + raw(5, 1, 8, bytes(8)),
    "padding longer than its frame": HELLO
    + headers().serialize()
    + bytes([0, 0, 2, 0, 8, 0, 0, 0, 1, 200, 0]),
    "PING flood": HELLO + PingFrame(0, opaque_data=bytes(8)).serialize() * 50_000,
    "SETTINGS flood": HELLO + SettingsFrame(0, {4: 70000}).serialize() * 20_000,
    "RST flood": HELLO + resets(5_000),
    "PRIORITY flood": HELLO + raw(2, 1, 5, bytes([0, 0, 0, 3, 9])) * 20_000,
    "empty DATA flood": HELLO + headers().serialize() + DataFrame(1, b"").serialize() * 20_000,
    "window update flood": HELLO + WindowUpdateFrame(0, 1).serialize() * 20_000,
    "unknown frames flood": HELLO + raw(0xEE, 1, 0) * 20_000,
    "more streams than allowed": HELLO
    + b"".join(headers(2 * n + 1).serialize() for n in range(limits.UNTRUSTED.streams + 1)),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_broken_http2_ends_its_connection_only(victim: Victim, case: str) -> None:
    with TlsClient(victim.daemon, STRANGER) as client:
        client.handshake()
        threading.Thread(target=_send, args=(client, MALFORMED[case]), daemon=True).start()
        answered = frames(client.receive_all())
    goodbyes = [each for each in answered if isinstance(each, GoAwayFrame)]
    assert len(goodbyes) <= 1 and (goodbyes or "flood" in case or "preface" in case), answered


def _send(client: TlsClient, data: bytes) -> None:
    with suppress(Closed, OSError, ValueError):
        client.send(data)


WRONG_CALLS: dict[str, tuple[bytes, bool, str]] = {
    "compressed message": (b"\1\0\0\0\1x", False, "13"),
    "4 GiB announced": (b"\0\xff\xff\xff\xff", False, "8"),
    "more than an untrusted peer may send": (
        b"\0" + (16 * 1024 + 1).to_bytes(4, "big"),
        False,
        "8",
    ),
    "the end before a message": (b"\0\0\0", True, "13"),
    "the end without a message": (b"", True, "13"),
    "two messages, the second of 4 GiB": (frame(b"") + b"\0\xff\xff\xff\xff", False, "8"),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_a_wrong_message_fails_its_call_only(victim: Victim, case: str) -> None:
    data, end, status = WRONG_CALLS[case]
    with H2Client(victim.daemon, STRANGER) as client:
        stream = client.begin()
        client.http2.send_data(stream, data, end_stream=end)
        client.flush()
        assert client.answer(stream)[0] == status
        assert client.call()[0] == "16", "the connection goes on"


def test_a_message_that_trickles_in_is_served(victim: Victim) -> None:
    with H2Client(victim.daemon, STRANGER) as client:
        stream = client.begin("authenticate")
        for byte in frame(b"\x0a\x01x"):
            client.http2.send_data(stream, bytes([byte]))
            client.flush()
        assert client.answer(stream)[0] == "9"


def test_no_grpc_is_answered_415(victim: Victim) -> None:
    with H2Client(victim.daemon, STRANGER) as client:
        plain = [(k, "text/plain" if k == "content-type" else v) for k, v in HEADERS]
        client.http2.send_headers(1, plain, end_stream=True)
        client.flush()
        while not (got := [e for e in client.events() if isinstance(e, ResponseReceived)]):
            pass
        assert "415" in str(got[0].headers)


def test_the_first_settings_name_the_limits(victim: Victim) -> None:
    with H2Client(victim.daemon, STRANGER) as client:
        client.events()
        theirs = client.http2.remote_settings
        assert theirs.max_concurrent_streams == limits.UNTRUSTED.streams
        assert theirs.max_header_list_size == limits.HEADER_LIST


def test_a_window_opened_by_settings_lets_the_answer_go(victim: Victim) -> None:
    from tests.multipassd.transport.tls_client import GOOD

    with TlsClient(victim.daemon, GOOD) as client:
        client.handshake()
        client.send(PREFACE + SettingsFrame(0, {4: 0}).serialize())
        client.send(headers().serialize() + DataFrame(1, frame(b"")).serialize())
        kinds: list[str] = []
        while "HeadersFrame" not in kinds:
            kinds += [type(each).__name__ for each in frames(client.receive())]
        assert "DataFrame" not in kinds
        client.send(SettingsFrame(0, {4: 65535}).serialize())
        while "DataFrame" not in kinds:
            kinds += [type(each).__name__ for each in frames(client.receive())]


SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SETTINGS
@given(data=st.binary(min_size=1, max_size=400))
def test_random_bytes_instead_of_tls(running: Victim, data: bytes) -> None:
    with running.daemon.connect() as connection, suppress(OSError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


@SETTINGS
@given(data=st.binary(min_size=1, max_size=400), hello=st.booleans())
def test_random_bytes_instead_of_http2(running: Victim, data: bytes, hello: bool) -> None:
    with TlsClient(running.daemon, STRANGER) as client:
        client.handshake()
        _send(client, (HELLO if hello else b"") + data)


@SETTINGS
@given(kind=st.integers(0, 12), flags=st.integers(0, 255), stream=st.integers(0, 5),
       body=st.binary(max_size=60))  # fmt: skip
def test_random_frames(running: Victim, kind: int, flags: int, stream: int, body: bytes) -> None:
    bad = len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
    with TlsClient(running.daemon, STRANGER) as client:
        client.handshake()
        _send(client, HELLO + headers().serialize() + bad + bad)


def test_it_is_well_after_all_that_was_random(victim: Victim) -> None:
    """`victim` proves it."""


@pytest.mark.parametrize("alpn", [(), (b"http/1.1",), (b"h3", b"spdy/3")], ids=str)
def test_who_does_not_offer_http2_is_turned_away(victim: Victim, alpn: tuple[bytes, ...]) -> None:
    with TlsClient(victim.daemon, STRANGER, alpn=alpn) as client, suppress(Closed):
        client.handshake()
        assert client.receive_all() == b""


def test_the_silent_are_sent_away_and_the_half_open_too(victim: Victim) -> None:
    """All at once: a handshake's time is five seconds."""
    ends: dict[str, float] = {}
    started = time.monotonic()

    def silent(name: str, send: bytes, shut: bool) -> None:
        with victim.daemon.connect() as connection:
            connection.sendall(send)
            if shut:
                connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while connection.recv(4096):
                    pass
        ends[name] = time.monotonic() - started

    cases: list[tuple[str, bytes, bool]] = [
        ("nothing", b"", False),
        ("half a record", b"\x16\x03\x01\x02\x00\x01", False),
        ("half open", b"\x16\x03\x01", True),
    ]
    threads = [threading.Thread(target=silent, args=case) for case in cases]
    for each in threads:
        each.start()
    for each in threads:
        each.join(limits.HANDSHAKE_TIMEOUT + PATIENCE)
    assert set(ends) == {"nothing", "half a record", "half open"}


def test_a_thousand_connections_leave_room_for_the_trusted(victim: Victim) -> None:
    def crowd(make: Callable[[], socket.socket]) -> list[socket.socket]:
        return [make() for _ in range(1000)]

    held = crowd(victim.daemon.connect)
    try:
        for _ in range(5):
            victim.assert_well(growth=256 << 20)
    finally:
        for each in held:
            each.close()


def test_hundreds_of_finished_handshakes_at_once_are_served(running: Victim) -> None:
    clients: list[TlsClient] = []
    try:
        for _ in range(300):  # a thousand handshakes take this machine ten seconds
            # One by one: a handshake's time begins when its connection does.
            clients.append(TlsClient(running.daemon))
            clients[-1].handshake()
        running.assert_well(growth=256 << 20)
    finally:
        for each in clients:
            each.socket.close()


def test_a_peer_that_never_reads_is_not_kept(victim: Victim) -> None:
    """Its floods fill the socket; the daemon stops reading it and serves the others."""
    with TlsClient(victim.daemon, STRANGER) as client:
        client.handshake()
        client.socket.settimeout(0.5)
        with suppress(Closed, OSError):
            for _ in range(200):
                client.send(HELLO if _ == 0 else PingFrame(0, opaque_data=bytes(8)).serialize())
        victim.assert_well()


def test_descriptors_of_the_gone_are_given_back(victim: Victim) -> None:
    before = _descriptors(victim)
    for _ in range(50):
        victim.daemon.connect().close()
    until(lambda: _descriptors(victim) <= before + 5, "the descriptors")


def _descriptors(victim: Victim) -> int:
    return len(os.listdir(f"/proc/{victim.daemon.pid}/fd"))
