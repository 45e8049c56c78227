"""Header blocks of requests, which may come in several frames. Pure."""

from __future__ import annotations

from multipassd.transport.http2.rules import Rules
from protocol import hpack, huffman
from protocol.hpack import Header
from protocol.http2_frames import (
    COMPRESSION_ERROR,
    CONTINUATION,
    END_HEADERS,
    ENHANCE_YOUR_CALM,
    ProtocolError,
)

Headers = tuple[Header, ...]

# Each command of a client is a connection with the same few header blocks.
_SHARED: dict[Rules, dict[bytes, Headers]] = {}


class RequestBlock:
    """Collects the fragments of one block at a time, and decodes it. `stream`: whose block is not
    complete, or 0; `last`: no body follows it."""

    def __init__(self, rules: Rules) -> None:
        self.stream = 0
        self.last = False
        self._rules = rules
        shared = _SHARED.setdefault(rules, {})
        self._decoder = hpack.Decoder(
            huffman.decode, rules.header_list, hpack.DEFAULT_TABLE, shared
        )
        self._collected = bytearray()
        self._frames = 0

    def begin(self, stream: int, fragment: bytes, last: bool) -> None:
        """A HEADERS frame without END_HEADERS."""
        self.stream, self.last = stream, last
        self._collected = bytearray(fragment)
        self._frames = 1

    def check(self, kind: int, stream: int) -> None:
        """Raises ProtocolError for any frame but the next of this block."""
        if kind != CONTINUATION or stream != self.stream:
            raise ProtocolError("a header block is interrupted")

    def go_on(self, flags: int, fragment: bytes) -> Headers | None:
        """A CONTINUATION frame; the headers when it was the last. Raises ProtocolError."""
        if not self.stream:
            raise ProtocolError("a continuation of nothing")
        self._frames += 1
        self._collected += fragment
        # A block is shorter than what it decodes to, as each header counts 32 bytes more.
        if (
            self._frames > self._rules.continuations
            or len(self._collected) > self._rules.header_list
        ):
            raise ProtocolError("a header block over the limit", ENHANCE_YOUR_CALM)
        if not flags & END_HEADERS:
            return None
        block = bytes(self._collected)
        self._collected.clear()
        return self.decode(block)

    def decode(self, block: bytes) -> Headers:
        """The headers of a whole block. Raises ProtocolError."""
        self.stream = 0
        try:
            return self._decoder.decode(block)
        except hpack.TooLong as error:
            raise ProtocolError(str(error), ENHANCE_YOUR_CALM) from None
        except hpack.HpackError as error:
            raise ProtocolError(str(error), COMPRESSION_ERROR) from None
