"""HTTP/2 framing against h2, which plays the server here."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import hpack, huffman
from protocol import http2_client as http2
from protocol import http2_frames as frames

REQUEST = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/x"), (b":authority", b"a")]
payloads = st.binary(max_size=200_000)


class Server:
    """A server connection that collects what the request brought."""

    def __init__(self, **settings: int) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.connection = h2.connection.H2Connection(config)
        self.connection.local_settings = h2.settings.Settings(
            client=False,
            initial_values={getattr(h2.settings.SettingCodes, k): v for k, v in settings.items()},
        )
        self.connection.initiate_connection()
        self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.ended = False

    def receive(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.headers = [(bytes(n), bytes(v)) for n, v in event.headers]
            elif isinstance(event, h2.events.DataReceived):
                self.body += event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length, 1)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended = True


def exchange(client: http2.Connection, server: Server, cut: int = 1 << 30) -> list[http2.Event]:
    """Carry bytes both ways, `cut` at a time, until neither side has any."""
    events: list[http2.Event] = []
    while True:
        to_server, to_client = client.take_output(), server.connection.data_to_send()
        if not to_server and not to_client:
            return events
        server.receive(to_server)
        for start in range(0, len(to_client), cut):
            events += client.receive(to_client[start : start + cut])


def started(body: bytes = b"", end: bool = True) -> http2.Connection:
    client = http2.Connection(huffman.decode)
    client.start(REQUEST)
    client.send(body, end)
    return client


@given(payloads, st.integers(1_000, 40_000), st.booleans())
def test_a_request_of_any_size_arrives_within_the_servers_windows(
    body: bytes, window: int, end: bool
) -> None:
    client, server = http2.Connection(huffman.decode), Server(INITIAL_WINDOW_SIZE=window)
    client.start(REQUEST)
    exchange(client, server)  # until the server has said how much it takes, 65,535 bytes count
    client.send(body, end)
    exchange(client, server)
    assert server.headers == REQUEST
    assert server.body == body
    assert server.ended == end


@given(payloads, st.integers(1, 30_000))
def test_an_answer_of_any_size_arrives_in_pieces_of_any_size(body: bytes, cut: int) -> None:
    client, server = started(), Server()
    exchange(client, server)
    server.connection.send_headers(1, [(":status", "200")])
    for start in range(0, len(body), 16_000):
        server.connection.send_data(1, body[start : start + 16_000])
    server.connection.send_headers(1, [("grpc-status", "0")], end_stream=True)
    events = exchange(client, server, cut)
    data = b"".join(event.data for event in events if isinstance(event, http2.DataReceived))
    assert data == body
    first, last = events[0], events[-1]
    assert isinstance(first, http2.HeadersReceived)
    assert first.headers == ((b":status", b"200"),)
    assert isinstance(last, http2.HeadersReceived)
    assert last.ended


def test_credit_is_given_back_for_long_answers() -> None:
    client, server = started(), Server()
    exchange(client, server)
    server.connection.send_headers(1, [(":status", "200")])
    total = 0
    while total < 3 * http2.OUR_WINDOW:
        server.connection.send_data(1, bytes(16_000))
        exchange(client, server)
        total += 16_000
    assert server.connection.local_flow_control_window(1) > 0


def test_pings_and_settings_are_answered() -> None:
    client, server = started(), Server()
    exchange(client, server)
    server.connection.ping(b"12345678")
    server.connection.update_settings({h2.settings.SettingCodes.MAX_FRAME_SIZE: 20_000})
    exchange(client, server)
    assert server.connection.local_settings.max_frame_size == 20_000


def goaway(last: int) -> bytes:
    return frames.frame(frames.GOAWAY, 0, 0, last.to_bytes(4, "big") + bytes(4))


@pytest.mark.parametrize(("last", "processed"), [(0, False), (1, True), (2**31 - 1, True)])
def test_goaway_tells_whether_the_call_was_taken(last: int, processed: bool) -> None:
    (event,) = started().receive(goaway(last))
    assert isinstance(event, http2.GoingAway)
    assert event.processed is processed


def test_a_reset_carries_its_code() -> None:
    reset = frames.frame(frames.RST_STREAM, 0, 1, (7).to_bytes(4, "big"))
    (event,) = started().receive(reset)
    assert isinstance(event, http2.StreamReset)
    assert event.code == frames.REFUSED_STREAM


def test_padding_priority_and_continuations_are_understood() -> None:
    block = hpack.encode([(b":status", b"200")])
    flags = frames.PADDED | frames.HAS_PRIORITY
    head = frames.frame(frames.HEADERS, flags, 1, b"\x03" + bytes(5) + block[:4] + bytes(3))
    tail = frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[4:])
    data = frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\x02hi\0\0")
    unknown = frames.frame(0x42, 0xFF, 7, b"grease")
    first, second = started().receive(unknown + head + tail + data)
    assert isinstance(first, http2.HeadersReceived)
    assert first.headers == ((b":status", b"200"),)
    assert isinstance(second, http2.DataReceived)
    assert (second.data, second.ended) == (b"hi", True)


@pytest.mark.parametrize(
    "data",
    [
        frames.frame(frames.DATA, 0, 3, b""),  # a stream that was not opened
        frames.frame(frames.DATA, frames.PADDED, 1, b"\x05abc"),
        frames.frame(frames.SETTINGS, 0, 1, b""),
        frames.frame(frames.SETTINGS, 0, 0, b"12345"),
        frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)),
        frames.frame(frames.SETTINGS, 0, 0, b"\0\4\x80\0\0\0"),  # a window over 2**31 - 1
        frames.frame(frames.SETTINGS, 0, 0, b"\0\5\0\0\0\1"),  # a frame size below the least
        frames.frame(frames.PING, 0, 0, b"short"),
        frames.frame(frames.GOAWAY, 0, 0, b"short"),
        frames.frame(frames.WINDOW_UPDATE, 0, 0, bytes(4)),
        frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
        frames.frame(frames.RST_STREAM, 0, 1, b""),
        frames.frame(frames.PUSH_PROMISE, 0, 1, bytes(4)),
        frames.frame(frames.CONTINUATION, 0, 1, b""),
        frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.DATA, 0, 1, b""),
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xbe"),
        frames.frame(frames.HEADERS, frames.HAS_PRIORITY, 1, b"abc"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_malformed_frames_are_refused(data: bytes) -> None:
    with pytest.raises(frames.ProtocolError):
        started().receive(data)


def test_endless_header_blocks_are_refused() -> None:
    client = started()
    client.receive(frames.frame(frames.HEADERS, 0, 1, b""))
    with pytest.raises(frames.ProtocolError):
        for _ in range(10):
            client.receive(frames.frame(frames.CONTINUATION, 0, 1, bytes(16_000)))


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        started().receive(data)
    except frames.ProtocolError:
        pass
