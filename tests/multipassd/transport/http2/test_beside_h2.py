"""The server's side beside the library h2: each understands all that the other writes."""

from __future__ import annotations

from collections import defaultdict

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from multipassd.transport.http2.sender import StreamGone
from multipassd.transport.http2.server import ServerConnection
from protocol import http2_frames as frames
from protocol.http2_frames import DEFAULT_MAX_FRAME, DEFAULT_WINDOW, NO_ERROR
from tests.multipassd.transport.http2.peer import HEADERS, RULES, STREAMS, Recorder

NAMES = st.sampled_from([b"x-a", b"user-agent", b"grpc-timeout", b"x-bin"])
EXTRA = st.lists(
    st.tuples(NAMES, st.binary(max_size=40).map(bytes.hex).map(str.encode)), max_size=4
)
ANSWER = ((b":status", b"200"), (b"content-type", b"application/grpc"))
TRAILERS = ((b"grpc-status", b"0"), (b"grpc-message", b"fine"))

# What a client does next: its kind, which of the streams it is about, and a number or headers.
CLIENT_STEPS = st.one_of(
    st.tuples(st.just("open"), EXTRA, st.booleans()),
    st.tuples(st.just("data"), st.integers(0, 5), st.integers(0, DEFAULT_MAX_FRAME)),
    st.tuples(st.just("padded"), st.integers(0, 5), st.integers(0, 255)),
    st.tuples(st.just("end"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("reset"), st.integers(0, 5), st.integers(0, 13)),
    st.tuples(st.just("ping"), st.binary(min_size=8, max_size=8), st.none()),
    st.tuples(st.just("widen"), st.integers(0, 5), st.integers(1, 1 << 20)),
    st.tuples(
        st.just("settings"), st.integers(0, 1 << 20), st.integers(DEFAULT_MAX_FRAME, 1 << 20)
    ),
    st.tuples(st.just("table"), st.integers(0, 4096), st.none()),
    st.tuples(st.just("priority"), st.integers(0, 5), st.integers(1, 256)),
    # And what the server does.
    st.tuples(st.just("answer"), st.integers(0, 5), st.integers(0, 40_000)),
    st.tuples(st.just("finish"), st.integers(0, 5), st.none()),
    st.tuples(st.just("break off"), st.integers(0, 5), st.integers(0, 13)),
    st.tuples(st.just("allow"), st.integers(STREAMS, 100), st.none()),
)


class Both:
    """The library as the client, and the server; what each has sent, to compare."""

    def __init__(self, size: int) -> None:
        self._size = size  # of the pieces that arrive
        self.told = Recorder()
        self.server = ServerConnection(self.told, RULES)
        self.server.begin(STREAMS)
        config = H2Configuration(header_encoding=None, validate_outbound_headers=False)
        self.client = H2Connection(config)
        self.client.initiate_connection()
        self.sent: dict[int, bytes] = {}
        self.headers: dict[int, tuple[tuple[bytes, bytes], ...]] = {}
        self.ended: set[int] = set()  # by the client
        self.open: list[int] = []  # that neither side has broken off, and the server not answered
        self.answered: dict[int, bytes] = {}
        self.read: dict[int, bytes] = defaultdict(bytes)
        self.read_headers: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
        self.finished: set[int] = set()
        self.read_ends: set[int] = set()
        self.exchange()

    def exchange(self) -> None:
        while True:
            up, down = self.client.data_to_send(), self.server.data_to_send()
            if not up and not down:
                return
            for start in range(0, len(up), self._size):
                self.server.receive(up[start : start + self._size])
            for event in self.client.receive_data(down):
                assert not isinstance(event, ConnectionTerminated)
                if isinstance(event, ResponseReceived | TrailersReceived):
                    found = [(bytes(n), bytes(v)) for n, v in event.headers or ()]
                    self.read_headers[event.stream_id] += found
                elif isinstance(event, DataReceived):
                    self.read[event.stream_id] += event.data
                elif isinstance(event, StreamEnded):
                    self.read_ends.add(event.stream_id)
                elif isinstance(event, StreamReset):
                    assert event.error_code == NO_ERROR or event.stream_id not in self.open

    def step(self, kind: str, which: object, how: object) -> None:
        if kind == "open":
            self._open(which, how)  # type: ignore[arg-type]
        elif kind == "ping":
            self.client.ping(which)  # type: ignore[arg-type]
        elif kind == "settings":
            values = {SettingCodes.INITIAL_WINDOW_SIZE: which, SettingCodes.MAX_FRAME_SIZE: how}
            self.client.update_settings(values)  # type: ignore[arg-type]
        elif kind == "table":
            # RFC 7541, 4.2: two at most before the next headers. The library writes each.
            if len(self.client.encoder.table_size_changes) < 2:
                self.client.encoder.header_table_size = which  # type: ignore[assignment]
        elif kind == "allow":
            self.server.allow(which)  # type: ignore[arg-type]
        elif kind == "widen" and which == 5:
            self.client.increment_flow_control_window(how)  # type: ignore[arg-type]
        elif self.open:
            stream = self.open[which % len(self.open)]  # type: ignore[operator]
            getattr(self, "_" + kind.replace(" ", "_"))(stream, how)

    def _open(self, extra: list[tuple[bytes, bytes]], ended: bool) -> None:
        if len(self.open) >= STREAMS:
            return
        stream = self.client.get_next_available_stream_id()
        headers = (*HEADERS, *extra)
        self.client.send_headers(stream, headers, end_stream=ended)
        self.open.append(stream)
        self.headers[stream], self.sent[stream] = headers, b""
        if ended:
            self.ended.add(stream)

    def _data(self, stream: int, size: int, padding: int | None = None) -> None:
        cost = size + (padding + 1 if padding is not None else 0)
        fits = cost <= min(self.client.local_flow_control_window(stream), DEFAULT_MAX_FRAME)
        if stream in self.ended or not fits:
            return
        content = bytes((stream + len(self.sent[stream]) + each) & 0xFF for each in range(size))
        self.client.send_data(stream, content, pad_length=padding)
        self.sent[stream] += content
        self.exchange()  # the library must not send after the server's end
        self.server.take_in(cost)
        self.server.credit(stream, cost)

    def _padded(self, stream: int, padding: int) -> None:
        self._data(stream, 10, padding)

    def _end(self, stream: int, trailers: bool) -> None:
        if stream in self.ended:
            return
        if trailers:
            self.client.send_headers(stream, [(b"x-end", b"1")], end_stream=True)
        else:
            self.client.end_stream(stream)
        self.ended.add(stream)

    def _reset(self, stream: int, code: int) -> None:
        self.client.reset_stream(stream, code)
        self.open.remove(stream)

    def _priority(self, stream: int, weight: int) -> None:
        self.client.prioritize(stream, weight=weight)

    def _widen(self, stream: int, by: int) -> None:
        self.client.increment_flow_control_window(by, stream)

    def _answer(self, stream: int, size: int) -> None:
        if stream not in self.answered:
            self.answered[stream] = b""
            self.server.send_headers(stream, ANSWER)
        while size and (room := min(size, self.server.room(stream))) > 0:
            content = bytes((stream + size + each) & 0xFF for each in range(room))
            self.server.send_data(stream, content)
            self.answered[stream] += content
            size -= room

    def _finish(self, stream: int, _: None) -> None:
        first = () if stream in self.answered else ANSWER
        self.answered.setdefault(stream, b"")
        self.server.send_headers(stream, first + TRAILERS, last=True)
        self.finished.add(stream)
        self.open.remove(stream)

    def _break_off(self, stream: int, code: int) -> None:
        self.open.remove(stream)
        self.server.reset(stream, code)


@given(st.lists(CLIENT_STEPS, max_size=40), st.sampled_from([1 << 20, 1000, 13, 1]))
def test_all_that_either_side_sends_is_understood(
    steps: list[tuple[str, object, object]], size: int
) -> None:
    both = Both(size)
    both.step("open", [], False)
    both.exchange()
    for kind, which, how in steps:
        both.step(kind, which, how)
        both.exchange()
    assert both.told.requests == both.headers
    assert both.told.bodies == both.sent
    assert set(both.told.ended) == both.ended
    for stream, data in both.answered.items():
        assert both.read[stream] == data
        expected = [*ANSWER, *TRAILERS] if stream in both.finished else [*ANSWER]
        assert both.read_headers[stream] == expected
    assert both.finished <= both.read_ends


def test_windows_of_any_size_are_kept_to() -> None:
    both = Both(1 << 20)
    both.step("open", [], True)
    both.exchange()
    both.step("settings", 10, DEFAULT_MAX_FRAME)
    both.exchange()
    assert both.server.room(1) == 10
    both.step("answer", 0, 10)
    both.step("settings", 0, DEFAULT_MAX_FRAME)
    both.exchange()
    assert both.server.room(1) == -10, "a window may become negative"
    both.step("widen", 0, 11)
    both.exchange()
    assert both.server.room(1) == 1
    both.step("settings", 1 << 20, 1 << 20)
    both.exchange()
    assert both.server.room(1) == DEFAULT_WINDOW - 10, "that of the connection"
    both.server.reset(1, NO_ERROR)
    for send in (both.server.room, lambda stream: both.server.send_data(stream, b"x")):
        try:
            send(1)
        except StreamGone:
            continue
        raise AssertionError("a stream that is gone takes nothing")


def test_a_stream_that_is_widened_takes_more_and_the_connection_too() -> None:
    both = Both(1 << 20)
    both.step("open", [], False)
    both.exchange()
    both.server.widen(1)
    both.server.widen(1)
    both.exchange()
    assert both.client.local_flow_control_window(1) == RULES.wide_window
    assert both.client.outbound_flow_control_window == DEFAULT_WINDOW + RULES.wide_window


def test_goodbye_takes_no_call_back() -> None:
    both = Both(1 << 20)
    both.step("open", [], True)
    both.exchange()
    both.server.say_goodbye()
    (event,) = both.client.receive_data(both.server.data_to_send())
    assert isinstance(event, ConnectionTerminated)
    assert (event.last_stream_id, event.error_code) == (frames.MAX_WINDOW, NO_ERROR)
