"""Copies of disks' files: the content and the holes of the source, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from multipassd.system import file_copy

DATA = os.urandom(1 << 20)
HOLE = 64 << 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Data, a hole, data, a hole."""
    path = tmp_path / "source"
    with path.open("wb") as file:
        file.write(DATA)
        file.seek(HOLE)
        file.write(DATA)
        file.truncate(2 * HOLE)
    return path


def copy(
    source: Path, target: Path, progress: file_copy.Progress = lambda done, size: None
) -> None:
    descriptor = os.open(source, os.O_RDONLY)
    try:
        file_copy.copy(descriptor, target, progress)
    finally:
        os.close(descriptor)


def test_a_copy_has_the_content_and_the_holes(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    copy(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks * 512 < HOLE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_what_the_progress_raises_ends_it_and_nothing_is_left(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_copy, "_shared", lambda source, target: False)

    def stop(done: int, size: int) -> None:
        assert size == 2 * HOLE
        raise KeyError

    with pytest.raises(KeyError):
        copy(source, tmp_path / "target", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_link_in_its_place_is_not_followed(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    (tmp_path / "target.part").symlink_to(other)
    with pytest.raises(OSError):
        copy(source, tmp_path / "target")
    assert other.read_bytes() == b"other"
