"""The SFTP client with OpenSSH's server, and with one that has no extension."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client.sftp import names, protocol, session
from tests import smalldisk
from tests.client.sftp.server import openssh

NO_EXTENSIONS = ("-P", "posix-rename,limits,statvfs")
OPTIONS: list[tuple[str, ...]] = [(), NO_EXTENSIONS]


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    return tmp_path / "here", tmp_path / "there"


@pytest.mark.parametrize("options", OPTIONS)
def test_a_file_replaces_another_with_and_without_extensions(
    places: tuple[Path, Path], options: tuple[str, ...]
) -> None:
    here, there = places
    content = os.urandom(1_500_000)
    (here / "file").write_bytes(content)
    with openssh(*options) as client:
        for _ in range(2):
            client.upload(here / "file", there / "file")
            client.download(there / "file", here / "back")
    assert client.told == []
    assert (here / "back").read_bytes() == content
    assert os.listdir(there) == ["file"]
    assert client.moved == 4 * len(content)


def test_the_limits_of_the_server_are_used() -> None:
    with openssh() as client:
        assert client.session.most_read > session.LEAST
        assert protocol.POSIX_RENAME in client.session.extensions


def test_many_files_are_on_the_way_at_once(places: tuple[Path, Path]) -> None:
    here, there = places
    (here / "d").mkdir()
    for number in range(300):
        (here / "d" / str(number)).write_text(str(number))
    with openssh() as client:
        client.upload(here / "d", there / "d")
        client.download(there / "d", here / "back")
    assert client.told == []
    for place in (there / "d", here / "back"):
        assert {path.name: path.read_text() for path in place.iterdir()} == {
            str(number): str(number) for number in range(300)
        }


def test_a_tree_that_is_too_deep_is_told(places: tuple[Path, Path]) -> None:
    here, there = places
    (here / "/".join("d" * (names.MAX_DEPTH + 2))).mkdir(parents=True)
    with openssh() as client:
        client.upload(here / "d", there)
    assert [sentence.partition(": ")[2] for sentence in client.told] == [
        "too many directories within each other"
    ]
    assert len(list(there.rglob("d"))) == names.MAX_DEPTH


@pytest.mark.root
@pytest.mark.parametrize("full", ["here", "there"])
def test_a_disk_that_fills_up_keeps_what_was_there(tmp_path: Path, full: str) -> None:
    other = tmp_path / ("there" if full == "here" else "here")
    other.mkdir()
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(3 << 20))
    (source / "small").write_bytes(b"small")
    with smalldisk.mounted(tmp_path / full, "2M") as disk, openssh() as client:
        (disk / "source").mkdir()
        (disk / "source" / "file").write_text("old")
        if full == "there":
            client.upload(source, disk)
            told = f"cannot write remote file {disk}/source/file: No space left on device"
        else:
            client.download(source, disk)
            told = f"cannot write local file {disk}/source/file: No space left on device"
        assert client.told == [told]
        assert (disk / "source" / "file").read_text() == "old"
        assert (disk / "source" / "small").read_bytes() == b"small"
        assert sorted(os.listdir(disk / "source")) == ["file", "small"]


def test_unreadable_and_odd_files_are_told_and_the_others_arrive(
    places: tuple[Path, Path],
) -> None:
    here, there = places
    (here / "d").mkdir()
    os.mkfifo(here / "d" / "pipe")
    (here / "d" / "file").write_text("x")
    with openssh() as client:
        client.upload(here / "d", there)
        client.download(here / "d", there / "back")
    assert client.told == [
        f"cannot open local file {here}/d/pipe: not a regular file",
        f"cannot open remote file {here}/d/pipe: not a regular file",
    ]
    assert os.listdir(there / "d") == os.listdir(there / "back") == ["file"]
