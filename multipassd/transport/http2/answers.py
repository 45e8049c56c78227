"""Headers of answers. Pure.

Answers have two or three constant headers, so their bytes are kept ready: encoding them each time
took a tenth of a small call.
"""

from __future__ import annotations

from functools import lru_cache

from protocol import hpack

Headers = tuple[hpack.Header, ...]

_KEPT = 64  # header blocks kept ready; status messages of refusals repeat, too

encode = lru_cache(_KEPT)(hpack.encode)


class Encoder:
    """The blocks of one connection: no table is used, though the peer may allow one."""

    def __init__(self) -> None:
        self._started = False

    def encode(self, headers: Headers) -> bytes:
        """One header block; the first of a connection says that the table stays empty."""
        block = encode(headers)
        if self._started:
            return block
        self._started = True
        return hpack.NO_TABLE + block
