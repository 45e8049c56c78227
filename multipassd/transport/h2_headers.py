"""HPACK for answers: every header spelled out, no table kept. Pure.

Answers have two or three constant headers, so their bytes can be kept ready; h2's own encoder
takes a tenth of a small call to find out each time that nothing changed. Source: RFC 7541.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_NO_TABLE = b"\x20"  # dynamic table size update to 0: we never refer to earlier headers
_LITERAL = 0x00  # without indexing, the name spelled out
_KEPT = 64  # header blocks kept ready; status messages of refusals repeat, too

Header = tuple[bytes | str, bytes | str]  # h2 4.1 hands on what it gets, later ones bytes


class Encoder:
    """In the place of hpack.Encoder in an h2 connection."""

    def __init__(self) -> None:
        self.header_table_size = 0  # h2 sets what the peer allows; none is used
        self._started = False

    def encode(self, headers: Iterable[Header], huffman: bool = True) -> bytes:
        """One header block; the first of a connection says that the table stays empty."""
        block = _block(tuple(headers))
        if self._started:
            return block
        self._started = True
        return _NO_TABLE + block


@lru_cache(_KEPT)
def _block(headers: tuple[Header, ...]) -> bytes:
    return b"".join(_field(_bytes(name), _bytes(value)) for name, value in headers)


def _field(name: bytes, value: bytes) -> bytes:
    return bytes((_LITERAL,)) + _string(name) + _string(value)


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _string(text: bytes) -> bytes:
    return _integer(len(text)) + text


def _integer(value: int) -> bytes:
    """With a prefix of seven bits and the Huffman bit clear."""
    if value < 0x7F:
        return bytes((value,))
    out = bytearray((0x7F,))
    value -= 0x7F
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
