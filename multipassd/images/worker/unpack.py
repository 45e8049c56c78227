"""Unpacks xz, zstd and gzip, recognized by their first bytes, with limits on memory and size."""

from __future__ import annotations

import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from multipassd.images.errors import Refused
from multipassd.images.worker.sparse import SparseWriter

XZ = b"\xfd7zXZ\x00"
ZSTD = b"\x28\xb5\x2f\xfd"
GZIP = b"\x1f\x8b"
CHUNK = 1 << 20
MAX_MEMORY = 256 << 20  # bytes of dictionary: xz -9 needs 65 MiB, zstd --long=27 128 MiB
ZSTD_PIECE = 4 << 10  # bytes, which unpack to 128 MiB at most
MAX_UNPACKED = 1 << 40  # bytes; larger than any image, as a few KB can unpack to petabytes

ENDS_EARLY = "The image can't be unpacked: it ends too early."

Report = Callable[[int], None]


def is_packed(head: bytes) -> bool:
    """Is the disk image with these first bytes packed?"""
    return head.startswith((XZ, ZSTD))


def head(packed: BinaryIO, length: int) -> bytes:
    """The first bytes of the unpacked data; fewer if it is shorter. Raises Refused."""
    data = bytearray()
    for chunk in pieces(packed):
        data += chunk
        if len(data) >= length:
            break
    return bytes(data[:length])


def unpack(packed: BinaryIO, target: int, report: Report) -> None:
    """Unpack into an empty file. Raises Refused if the data is damaged or too large, OSError."""
    total = max(os.fstat(packed.fileno()).st_size, 1)
    writer = SparseWriter(target)
    shown = None
    for chunk in pieces(packed):
        writer.write(chunk)
        if writer.position > MAX_UNPACKED:
            raise Refused(f"The image unpacks to more than {MAX_UNPACKED} bytes.")
        percent = min(packed.tell() * 100 // total, 100)
        if percent != shown:
            report(shown := percent)
    writer.finish()


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The unpacked data from the beginning on, or what is there where it is not packed. Raises
    Refused."""
    file.seek(0)
    first = file.read(len(XZ))
    file.seek(0)
    if first.startswith(XZ):
        return _xz(file)
    if first.startswith(ZSTD):
        return _zstd(file)
    return _gzip(file) if first.startswith(GZIP) else iter(lambda: file.read(CHUNK), b"")


def _xz(source: BinaryIO) -> Iterator[bytes]:
    """Unpacked pieces. There may be several streams, with zeros between them."""
    decoder = _xz_decoder()
    begun = False
    try:
        while data := source.read(CHUNK):
            while data := data.lstrip(b"\0") if decoder.eof else data:
                if decoder.eof:
                    decoder = _xz_decoder()
                yield from _drain(decoder, data)
                begun, data = True, decoder.unused_data
    except lzma.LZMAError as error:
        raise Refused(f"The image can't be unpacked: {error}.") from error
    if begun and not decoder.eof:
        raise Refused(ENDS_EARLY)


def _xz_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY)


def _drain(decoder: lzma.LZMADecompressor, data: bytes) -> Iterator[bytes]:
    """Pieces of limited size: a MiB of input may be GiB of output."""
    chunk = decoder.decompress(data, CHUNK)
    while chunk:
        yield chunk
        if decoder.eof or decoder.needs_input:
            return
        chunk = decoder.decompress(b"", CHUNK)


def _gzip(source: BinaryIO) -> Iterator[bytes]:
    """There may be several members, with zeros behind them."""
    decoder = _gzip_decoder()
    try:
        while data := source.read(CHUNK):
            while data := data.lstrip(b"\0") if decoder.eof else data:
                if decoder.eof:
                    decoder = _gzip_decoder()
                yield decoder.decompress(data, CHUNK)
                data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    except zlib.error as error:
        raise Refused(f"The image can't be unpacked: {error}.") from error
    if not decoder.eof:
        raise Refused(ENDS_EARLY)


def _gzip_decoder() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def _zstd(source: BinaryIO) -> Iterator[bytes]:
    import zstandard

    context = zstandard.ZstdDecompressor(max_window_size=MAX_MEMORY)
    decoder = context.decompressobj()
    try:
        # In small pieces, because it returns all that a piece of input unpacks to at once.
        while data := source.read(ZSTD_PIECE):
            while data:
                if decoder.eof:
                    decoder = context.decompressobj()
                yield decoder.decompress(data)
                data = decoder.unused_data
    except zstandard.ZstdError as error:
        raise Refused(f"The image can't be unpacked: {error}.") from error
    if not decoder.eof:
        raise Refused(ENDS_EARLY)
