"""What a connection is limited to; the values with their reasons are the owner's."""

from __future__ import annotations

from typing import NamedTuple


class Rules(NamedTuple):
    """`header_list`: bytes of the headers of a request, as RFC 9113 counts them; `continuations`:
    frames of one header block; `closed_streams`: how many ended ones are remembered; `wide_window`:
    bytes of a request that is a stream which its sender may be ahead."""

    header_list: int
    continuations: int
    closed_streams: int
    wide_window: int
