"""Packed images: whole, damaged and unreasonable ones."""

import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from multipassd.images.errors import ImageError
from multipassd.images.worker import unpack as unpacking
from multipassd.images.worker.unpack import is_packed, unpack

Compress = Callable[[bytes], bytes]
DATA = bytes(range(256)) * 8192 + bytes(5 << 20) + b"the end"


def unpacked(directory: Path, packed: bytes) -> Path:
    source, target = directory / "packed", directory / "unpacked"
    source.write_bytes(packed)
    assert is_packed(packed[:512])
    with source.open("rb") as file, target.open("wb") as written:
        unpack(file, written.fileno(), lambda percent: None)
    return target


@pytest.mark.parametrize("compress", [lzma.compress, zstandard.compress], ids=["xz", "zstd"])
def test_it_comes_out_as_it_went_in_with_holes_where_it_is_empty(
    tmp_path: Path, compress: Compress
) -> None:
    target = unpacked(tmp_path, compress(DATA))
    assert target.read_bytes() == DATA
    assert target.stat().st_blocks * 512 < 4 << 20


@pytest.mark.parametrize("compress", [lzma.compress, zstandard.compress], ids=["xz", "zstd"])
def test_several_streams_are_one_image(tmp_path: Path, compress: Compress) -> None:
    half = len(DATA) // 2
    assert unpacked(tmp_path, compress(DATA[:half]) + compress(DATA[half:])).read_bytes() == DATA


def test_zeros_between_xz_streams_are_padding(tmp_path: Path) -> None:
    packed = lzma.compress(DATA) + bytes(8) + lzma.compress(b"more") + bytes(4)
    assert unpacked(tmp_path, packed).read_bytes() == DATA + b"more"


@pytest.mark.parametrize("compress", [lzma.compress, zstandard.compress], ids=["xz", "zstd"])
def test_half_a_file_and_a_damaged_one_are_refused(tmp_path: Path, compress: Compress) -> None:
    packed = compress(DATA)
    with pytest.raises(ImageError, match="too early"):
        unpacked(tmp_path, packed[: len(packed) // 2])
    with pytest.raises(ImageError, match="can't be unpacked"):
        unpacked(tmp_path, packed[:200] + bytes(200) + packed[400:])
    with pytest.raises(ImageError, match="can't be unpacked"):
        unpacked(tmp_path, packed + b"trailing rubbish")


def test_what_unpacks_to_more_than_any_image_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(ImageError, match="more than"):
        unpacked(tmp_path, lzma.compress(DATA))


def test_what_needs_too_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMORY", 1 << 20)
    with pytest.raises(ImageError, match="can't be unpacked"):
        unpacked(tmp_path, lzma.compress(DATA))
