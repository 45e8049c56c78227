"""Unpacking xz and zstd, told by their first bytes: sparse, with limits on what they may cost."""

from __future__ import annotations

import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from multipassd.images.errors import ImageError
from multipassd.images.sparse import SparseWriter

XZ = b"\xfd7zXZ\x00"
ZSTD = b"\x28\xb5\x2f\xfd"
CHUNK = 1 << 20
MAX_MEMORY = 256 << 20  # bytes of dictionary: xz -9 needs 65 MiB, zstd --long=27 128 MiB
ZSTD_PIECE = 4 << 10  # bytes, which become 128 MiB at most
MAX_UNPACKED = 1 << 40  # a few KB can claim to be petabytes; no image is as large as this

ENDS_EARLY = "The image can't be unpacked: it ends too early."

Report = Callable[[int], None]


def is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(XZ)).startswith((XZ, ZSTD))


def unpack(packed: Path, target: Path, report: Report) -> None:
    """Raises ImageError when the data is damaged or unreasonable, and OSError."""
    with packed.open("rb") as source, target.open("wb", buffering=0) as file:
        total = max(os.fstat(source.fileno()).st_size, 1)
        first = source.read(len(XZ))
        source.seek(0)
        chunks = _xz(source) if first.startswith(XZ) else _zstd(source)
        writer = SparseWriter(file.fileno())
        shown = None
        for chunk in chunks:
            writer.write(chunk)
            if writer.position > MAX_UNPACKED:
                raise ImageError(f"The image unpacks to more than {MAX_UNPACKED} bytes.")
            percent = min(source.tell() * 100 // total, 100)
            if percent != shown:
                report(shown := percent)
        writer.finish()


def _xz(source: BinaryIO) -> Iterator[bytes]:
    """Streams may follow each other, with zeros between them."""
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
        raise ImageError(f"The image can't be unpacked: {error}.") from error
    if begun and not decoder.eof:
        raise ImageError(ENDS_EARLY)


def _xz_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY)


def _drain(decoder: lzma.LZMADecompressor, data: bytes) -> Iterator[bytes]:
    """In pieces: a MiB of input may be GiB of output."""
    chunk = decoder.decompress(data, CHUNK)
    while chunk:
        yield chunk
        if decoder.eof or decoder.needs_input:
            return
        chunk = decoder.decompress(b"", CHUNK)


def _zstd(source: BinaryIO) -> Iterator[bytes]:
    import zstandard

    context = zstandard.ZstdDecompressor(max_window_size=MAX_MEMORY)
    decoder = context.decompressobj()
    try:
        # Fed by spoonfuls, as it hands out all that a piece of input unpacks to at once.
        while data := source.read(ZSTD_PIECE):
            while data:
                if decoder.eof:
                    decoder = context.decompressobj()
                yield decoder.decompress(data)
                data = decoder.unused_data
    except zstandard.ZstdError as error:
        raise ImageError(f"The image can't be unpacked: {error}.") from error
    if not decoder.eof:
        raise ImageError(ENDS_EARLY)
