"""Cuts a connection's bytes into frames. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from protocol.http2_frames import (
    DEFAULT_MAX_FRAME,
    FRAME_HEADER,
    FRAME_SIZE_ERROR,
    MAX_WINDOW,
    PREFACE,
    ProtocolError,
)

Frame = tuple[int, int, int, bytes]  # type, flags, stream, payload

_HEADER = Struct(">BHBBL")  # the length is three bytes
_NO_RESERVED_BIT = MAX_WINDOW


class FrameReader:
    """Holds at most one unfinished frame, and nothing of one that is too long."""

    def __init__(self) -> None:
        self._preface = PREFACE  # what is still to come of it
        self._rest = bytearray()
        self._wanted = FRAME_HEADER  # bytes of `_rest` that can be used

    def read(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises ProtocolError, for a frame over the limit as
        soon as its length is there."""
        if self._preface:
            data = self._greeting(data)
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, end = 0, len(data)
        self._wanted = FRAME_HEADER
        while end - at >= FRAME_HEADER:
            high, low, kind, flags, stream = _HEADER.unpack_from(data, at)
            length = high << 16 | low
            if length > DEFAULT_MAX_FRAME:
                raise ProtocolError(f"a frame of {length} bytes", FRAME_SIZE_ERROR)
            start = at + FRAME_HEADER
            if end - start < length:
                self._wanted = FRAME_HEADER + length
                break
            at = start + length
            yield kind, flags, stream & _NO_RESERVED_BIT, data[start:at]
        self._rest += data[at:]

    def _greeting(self, data: bytes) -> bytes:
        """What follows the preface. Raises ProtocolError."""
        part = data[: len(self._preface)]
        if not self._preface.startswith(part):
            raise ProtocolError("not the preface of HTTP/2")
        self._preface = self._preface[len(part) :]
        return data[len(part) :]
