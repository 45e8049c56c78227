"""One request and one answer over a Unix stream socket, a JSON line each: framing and blocking I/O.

The daemon asks its helper programs in this way, which run with other rights and import little, so
this module does, too. `json_request_async.py` is for callers in an event loop.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T", dict[str, Any], list[Any])

CHUNK = 64 << 10
# For a caller to send its whole line, which it does as soon as it is connected.
REQUEST_SECONDS = 30.0


class RequestFailed(Exception):
    """A request or an answer did not arrive whole; the text is a reason without a full stop."""


class Unreachable(RequestFailed):
    """The socket can't be connected to, or fails."""


class TooSlow(RequestFailed):
    """The other side took longer than the time limit."""


class CutOff(RequestFailed):
    """The other side hung up before the end of its line."""


class BadMessage(RequestFailed):
    """The line is too long, not JSON, or of another JSON type than expected."""


class Line:
    """Collects one line of at most `limit` bytes. Pure."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    @property
    def data(self) -> bytes:
        return bytes(self._data)

    def feed(self, chunk: bytes) -> bool:
        """Add what was received, nothing at the end of the stream; is the line complete now? Raises
        CutOff, BadMessage."""
        self._data += chunk
        if not chunk:
            raise CutOff("the connection was closed before the end of the line")
        if len(self._data) > self._limit:
            raise BadMessage(f"the line is longer than {self._limit} bytes")
        end = self._data.find(b"\n")
        if 0 <= end < len(self._data) - 1:
            raise BadMessage("there is more than one line")
        return end >= 0

    def decode(self, kind: type[T]) -> T:
        """Its value, a JSON object (dict) or array (list). Raises BadMessage."""
        try:
            value = json.loads(self._data)
        except (ValueError, RecursionError) as error:
            raise BadMessage(f"the line is not JSON: {error}") from None
        if not isinstance(value, kind):
            raise BadMessage(f"the line is no JSON {'object' if kind is dict else 'array'}")
        return value


def encode(message: object) -> bytes:
    """The message as a JSON line."""
    return json.dumps(message).encode() + b"\n"


def ask(
    connection: socket.socket,
    message: object,
    kind: type[T],
    *,
    limit: int,
    seconds: float,
    descriptors: Sequence[int] = (),
) -> T:
    """Send a request, with open files beside it (SCM_RIGHTS), and return its answer, of at most
    `limit` bytes, within `seconds` altogether. Raises RequestFailed."""
    deadline = time.monotonic() + seconds
    data = encode(message)
    with failures(seconds):
        with suppress(BrokenPipeError):  # it may have answered before it hung up
            connection.settimeout(_left(deadline))
            sent = socket.send_fds(connection, [data], list(descriptors))
            if rest := data[sent:]:
                connection.settimeout(_left(deadline))
                connection.sendall(rest)
        line = Line(limit)
        _receive_rest(connection, line, deadline)
    return line.decode(kind)


def receive(
    connection: socket.socket, kind: type[T], *, limit: int, seconds: float = REQUEST_SECONDS
) -> T:
    """The request of at most `limit` bytes, within `seconds`. Raises RequestFailed."""
    line = Line(limit)
    with failures(seconds):
        _receive_rest(connection, line, time.monotonic() + seconds)
    return line.decode(kind)


def receive_with_files(
    connection: socket.socket,
    kind: type[T],
    *,
    limit: int,
    most_files: int,
    seconds: float = REQUEST_SECONDS,
) -> tuple[T, list[int]]:
    """The request and the descriptors of the open files that came with its first byte. Raises
    RequestFailed."""
    deadline = time.monotonic() + seconds
    line = Line(limit)
    with failures(seconds):
        connection.settimeout(_left(deadline))
        chunk, descriptors, _, _ = socket.recv_fds(connection, CHUNK, most_files)
        if not line.feed(chunk):
            _receive_rest(connection, line, deadline)
    return line.decode(kind), descriptors


def answer(connection: socket.socket, message: object, *, seconds: float = REQUEST_SECONDS) -> None:
    """Send the answer. Raises RequestFailed."""
    with failures(seconds):
        connection.settimeout(seconds)
        connection.sendall(encode(message))


def _receive_rest(connection: socket.socket, line: Line, deadline: float) -> None:
    complete = False
    while not complete:
        connection.settimeout(_left(deadline))
        complete = line.feed(connection.recv(CHUNK))


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises TimeoutError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


@contextmanager
def failures(seconds: float) -> Iterator[None]:
    """Make OSError a RequestFailed; `seconds` is the time limit that a TimeoutError is about."""
    try:
        yield
    except TimeoutError:
        raise TooSlow(f"it took longer than {seconds:.0f} s") from None
    except (BrokenPipeError, ConnectionResetError) as error:
        raise CutOff(str(error.strerror)) from None
    except OSError as error:
        raise Unreachable(str(error.strerror or error)) from None
