"""One request and one answer, a JSON line each: what is refused, from blocking code and asyncio."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.system import json_request, json_request_async
from multipassd.system.json_request import (
    BadMessage,
    CutOff,
    Line,
    RequestFailed,
    TooSlow,
    Unreachable,
    encode,
)

ROOT = Path(__file__).resolve().parents[3]
LIMIT = 100
SECONDS = 60.0
SOON = 0.05
REQUEST = {"do": "it"}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


# -- framing, without I/O -------------------------------------------------------------------------


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.integers(1, 9))
def test_a_message_arrives_in_whatever_pieces(message: dict[str, Any], size: int) -> None:
    data = encode(message)
    line = Line(len(data))
    pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
    assert [line.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert line.decode(dict) == message


def test_a_line_beyond_the_limit_is_refused_before_its_end() -> None:
    data = encode(["x" * (LIMIT - 5)])
    assert len(data) == LIMIT
    assert Line(LIMIT).feed(data)
    with pytest.raises(BadMessage, match="longer than 99 bytes"):
        Line(LIMIT - 1).feed(data[:-1] + b" ")


def test_the_end_of_the_stream_within_a_line_is_an_error() -> None:
    line = Line(LIMIT)
    assert not line.feed(b'{"do"')
    with pytest.raises(CutOff):
        line.feed(b"")
    with pytest.raises(CutOff):
        Line(LIMIT).feed(b"")


def test_more_than_one_line_is_refused() -> None:
    with pytest.raises(BadMessage, match="more than one line"):
        Line(LIMIT).feed(b"{}\n{}\n")


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"nonsense\n",
        b"{\n",
        b"\xff" * 1000 + b"\n",
        b"1" * 5000 + b"\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_line_that_is_not_json_is_refused(data: bytes) -> None:
    line = Line(len(data))
    assert line.feed(data)
    with pytest.raises(BadMessage, match="not JSON") as refused:
        line.decode(dict)
    assert len(str(refused.value)) < 200, "it does not repeat the line"


@pytest.mark.parametrize(("data", "kind"), [(b"[]\n", dict), (b"{}\n", list), (b"1\n", list)])
def test_a_value_of_another_type_is_refused(data: bytes, kind: type[Any]) -> None:
    line = Line(LIMIT)
    assert line.feed(data)
    with pytest.raises(BadMessage, match="no JSON (object|array)"):
        line.decode(kind)


# -- over sockets ---------------------------------------------------------------------------------


def asked(said: bytes, seconds: float, how: str) -> tuple[dict[str, Any], bytes]:
    """The answer, and the request as it arrived, where the other side says this and hangs up; it
    keeps silent, and stays, if `said` is empty."""
    ours, theirs = socket.socketpair()
    received: list[bytes] = []

    def serve() -> None:
        received.append(theirs.recv(LIMIT))
        if said:
            theirs.sendall(said)
            theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    with ours, theirs:
        try:
            if how == "blocking":
                answer = json_request.ask(ours, REQUEST, dict, limit=LIMIT, seconds=seconds)
            else:
                ours.setblocking(False)
                answer = asyncio.run(
                    json_request_async.ask(ours, REQUEST, dict, limit=LIMIT, seconds=seconds)
                )
        finally:
            server.join()
    return answer, received[0]


both = pytest.mark.parametrize("how", ["blocking", "asyncio"])


@both
def test_a_request_is_answered(how: str) -> None:
    assert asked(b'{"done": 1}\n', SECONDS, how) == ({"done": 1}, b'{"do": "it"}\n')


@both
@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b'{"done"', CutOff),
        (b'{"done": 1}', CutOff),
        (b"x" * (LIMIT + 1), BadMessage),
        (b"nonsense\n", BadMessage),
        (b"[]\n", BadMessage),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    said: bytes, error: type[RequestFailed], how: str
) -> None:
    with pytest.raises(error):
        asked(said, SECONDS, how)


@both
def test_one_that_does_not_answer_in_time_is_given_up(how: str) -> None:
    with pytest.raises(TooSlow, match="longer than 0 s"):
        asked(b"", SOON, how)


def test_the_time_limit_holds_for_all_pieces_together(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(SOON / 10):
            with suppress(OSError):
                theirs.send(b" ")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with pytest.raises(TooSlow):
            json_request.receive(ours, dict, limit=1 << 20, seconds=SOON)
    finally:
        ended.set()
        dripping.join()


@both
def test_a_side_that_hung_up_before_the_request_is_an_error(
    pair: tuple[socket.socket, socket.socket], how: str
) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(CutOff):
        if how == "blocking":
            json_request.ask(ours, REQUEST, dict, limit=LIMIT, seconds=SECONDS)
        else:
            ours.setblocking(False)
            asyncio.run(json_request_async.ask(ours, REQUEST, dict, limit=LIMIT, seconds=SECONDS))


@both
def test_an_answer_counts_though_the_request_was_not_read_to_its_end(
    pair: tuple[socket.socket, socket.socket], how: str
) -> None:
    """As of a helper that refuses a request by its beginning, and hangs up."""
    ours, theirs = pair
    theirs.sendall(b'{"error": "no"}\n')
    theirs.close()
    if how == "blocking":
        answer = json_request.ask(ours, REQUEST, dict, limit=LIMIT, seconds=SECONDS)
    else:
        ours.setblocking(False)
        answer = asyncio.run(
            json_request_async.ask(ours, REQUEST, dict, limit=LIMIT, seconds=SECONDS)
        )
    assert answer == {"error": "no"}


def test_a_socket_without_a_listener_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="No such file"):
        asyncio.run(
            json_request_async.ask_at(tmp_path / "none", {}, dict, limit=LIMIT, seconds=SECONDS)
        )


@both
def test_open_files_come_with_the_request_however_long_it_is(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path, how: str
) -> None:
    ours, theirs = pair
    words = ["x" * (4 << 20)]  # more than the kernel takes at once
    found: list[str] = []

    def serve() -> None:
        message, descriptors = json_request.receive_with_files(
            theirs, list, limit=8 << 20, most_files=2, seconds=SECONDS
        )
        found.extend(os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        json_request.answer(theirs, {"same": message == words})

    server = threading.Thread(target=serve)
    server.start()
    (tmp_path / "file").touch()
    with open(tmp_path / "file", "rb") as file:
        files = (file.fileno(),)
        if how == "blocking":
            answer = json_request.ask(
                ours, words, dict, limit=LIMIT, seconds=SECONDS, descriptors=files
            )
        else:
            ours.setblocking(False)
            answer = asyncio.run(
                json_request_async.ask(
                    ours, words, dict, limit=LIMIT, seconds=SECONDS, descriptors=files
                )
            )
    server.join()
    assert answer == {"same": True}
    assert found == [str(tmp_path / "file")]


def test_the_helpers_side_loads_nothing_slow() -> None:
    """The programs that import it start for each request."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import multipassd.system.json_request\n"
        "print(*{'asyncio', 'logging', 'pydantic', 'subprocess'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
