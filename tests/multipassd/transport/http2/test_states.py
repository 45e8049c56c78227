"""Streams and settings over the life of a connection, and what no bytes may bring about."""

from __future__ import annotations

from h2.errors import ErrorCodes
from hypothesis import given
from hypothesis import strategies as st

from protocol import http2_frames as frames
from protocol.http2_frames import (
    ACK,
    GOAWAY,
    NO_ERROR,
    PING,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    window_update,
)
from tests.multipassd.transport.http2.peer import (
    HELLO,
    RULES,
    STREAMS,
    Peer,
    block,
    data,
    number,
    raw,
    request,
    reset,
)


def test_goaway_of_the_peer_is_told_and_nothing_is_handled_once_the_owner_stops() -> None:
    peer = Peer()
    peer.send(raw(GOAWAY, 0, bytes(8) + b"debug"))
    assert peer.told.goodbyes == 1
    peer.server.stop()
    peer.send(request())
    assert not peer.told.requests


def test_a_cut_off_stream_forgives_what_was_on_its_way_and_no_more() -> None:
    peer = Peer()
    peer.send(request())
    peer.server.reset(1, NO_ERROR)
    peer.send(data() + window_update(1, 5) + data(1, b"", ended=True))
    assert peer.ended_with() is None
    assert peer.answers() == [(RST_STREAM, 0, 1, number(NO_ERROR))]
    assert peer.told.bodies == {1: b""}
    peer.send(data())
    assert peer.ended_with() == STREAM_CLOSED


def test_only_so_many_cut_off_streams_are_remembered() -> None:
    peer = Peer()
    for stream in range(1, 2 * RULES.closed_streams + 3, 2):
        peer.send(request(stream))
        peer.server.reset(stream, NO_ERROR)
    peer.send(data(3))
    assert peer.ended_with() is None
    peer.send(data(1))
    assert peer.ended_with() == STREAM_CLOSED


def test_data_on_a_cut_off_stream_still_counts_for_the_connection_and_is_given_back() -> None:
    peer = Peer()
    peer.send(request())
    peer.server.reset(1, NO_ERROR)
    peer.answers()
    for _ in range(100):
        peer.send(data(1, bytes(16_384)))
        peer.send(data(1, bytes(16_384)))
        assert peer.ended_with() is None
        assert peer.answers() == [(WINDOW_UPDATE, 0, 0, number(32_768))]


def test_a_lower_limit_of_requests_counts_once_it_is_acknowledged_a_higher_one_at_once() -> None:
    peer = Peer(HELLO + raw(SETTINGS, flags=ACK))
    peer.server.allow(STREAMS + 2)
    peer.send(b"".join(request(2 * each + 1) for each in range(STREAMS + 2)))
    assert peer.ended_with() is None
    peer.send(raw(SETTINGS, flags=ACK))
    peer.server.allow(1)
    peer.send(reset(1) + request(101))
    assert peer.ended_with() is None
    peer.send(raw(SETTINGS, flags=ACK) + reset(101))
    assert peer.ended_with() is None
    peer.send(request(103))
    assert peer.ended_with() == PROTOCOL_ERROR


def test_settings_by_thousands_cost_one_look_at_each_stream() -> None:
    peer = Peer()
    peer.send(request())
    many = b"".join(b"\0\4" + number(each) for each in range(2730))
    peer.send(raw(SETTINGS, 0, many))
    assert peer.ended_with() is None and peer.told.opened[-1] == 0
    assert peer.server.room(1) == 2729


FRAMES = st.builds(
    raw,
    st.integers(0, 11),
    st.integers(0, 7),
    st.binary(max_size=60) | st.sampled_from([block(), number(1), bytes(8)]),
    st.integers(0, 255),
)


@given(st.lists(FRAMES | st.sampled_from([request(), request(3), data(), reset()]), max_size=12))
def test_any_frames_are_handled_or_end_the_connection_with_one_goaway(sent: list[bytes]) -> None:
    peer = Peer()
    for each in sent:
        peer.send(each)
    answers = peer.answers()
    goodbyes = [payload[4:] for kind, _, _, payload in answers if kind == GOAWAY]
    code = peer.ended_with()
    assert goodbyes == ([] if code is None else [number(code)])
    assert len(answers) <= 2 * len(sent)
    assert {kind for kind, *_ in answers} <= {RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE}


def test_all_constants_of_error_codes_are_rfc_9113_s() -> None:
    for code in ErrorCodes:
        if code <= ErrorCodes.ENHANCE_YOUR_CALM:
            assert getattr(frames, code.name) == code
