"""The SFTP server on real files: what sshfs asks for, and what only an attacker does."""

from __future__ import annotations

import os
import pwd
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multipassd.mounts import jail, sftp_files
from multipassd.mounts.sftp_packets import (
    MAX_PACKET,
    Has,
    Kind,
    Open,
    Status,
    number,
    string,
)
from multipassd.system import installation
from tests.multipassd.mounts.peer import NO_ATTRIBUTES, Peer, Refused, order, served
from tests.reachable import reachable

SERVER = """
import socket, sys
sys.path.insert(0, {tree!r})
from multipassd.mounts import serving
from multipassd.mounts.id_map import IdMap
from multipassd.mounts.paths import Paths
from multipassd.mounts.sftp_files import SftpFiles
serving.serve(socket.socket(fileno=0), SftpFiles(Paths(), IdMap(()), IdMap(())))
"""
TREE = str(Path(__file__).resolve().parents[3])
NEW = Open.WRITE | Open.CREATE | Open.READ


@pytest.fixture
def source(tmp_path: Path) -> Path:
    reachable(tmp_path)
    return tmp_path


@pytest.fixture(params=["namespace", "snap"])
def peer(
    source: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Peer]:
    """Of a server that has the directory for its root, and of one that resolves paths below it."""
    if request.param == "snap":
        source.chmod(0o755)
        monkeypatch.setenv("SNAP_NAME", "multipass")
        monkeypatch.setattr(jail, "SNAP_DAEMON", pwd.getpwuid(os.geteuid()).pw_name)
        monkeypatch.setattr(installation.Snap, "mount_places", ("/", "/"))
    with served(order(source)) as one:
        yield one


def test_files_are_written_read_renamed_linked_and_removed(peer: Peer, source: Path) -> None:
    handle = peer.open(b"/new", NEW, number(Has.MODE) + number(0o640))
    peer.write(handle, b"hello", offset=1_000_000)
    assert peer.read(handle, 1_000_001) == b"ello"
    peer.extended(b"fsync@openssh.com", string(handle))
    peer.ask(Kind.CLOSE, string(handle))
    status = (source / "new").stat()
    assert (status.st_mode & 0o7777, status.st_size) == (0o640, 1_000_005)
    assert status.st_blocks * 512 < 100_000
    (source / "old").write_text("old")
    with pytest.raises(Refused) as caught:  # version 3's own rename
        peer.ask(Kind.RENAME, string(b"/old"), string(b"/new"))
    assert caught.value.status is Status.FAILURE
    peer.extended(b"posix-rename@openssh.com", string(b"/old"), string(b"/new"))
    peer.extended(b"hardlink@openssh.com", string(b"/new"), string(b"/hard"))
    assert (source / "hard").stat().st_nlink == 2
    peer.ask(Kind.SYMLINK, string(b"new"), string(b"/link"))
    assert os.readlink(source / "link") == "new"
    fields = peer.ask(Kind.READLINK, string(b"/link"))
    assert (fields.number(), bytes(fields.view())) == (1, b"new")
    peer.ask(Kind.MKDIR, string(b"/d"), NO_ATTRIBUTES)
    assert peer.names(b"/") == {b"new", b"hard", b"link", b"d"}
    peer.ask(Kind.RMDIR, string(b"/d"))
    for name in (b"/new", b"/hard", b"/link"):
        peer.ask(Kind.REMOVE, string(name))
    assert os.listdir(source) == []


def test_attributes_are_set_and_programs_get_nobodys_rights(peer: Peer, source: Path) -> None:
    (source / "f").write_text("four")
    (source / "d").mkdir()
    for name, mode in ((b"/f", 0o6755), (b"/d", 0o7775)):
        peer.ask(Kind.SETSTAT, string(name), number(Has.MODE), number(mode))
    assert (source / "f").stat().st_mode & 0o7777 == 0o755
    assert (source / "d").stat().st_mode & 0o7777 == 0o3775
    peer.open(b"/suid", NEW, number(Has.MODE) + number(0o4755))
    assert (source / "suid").stat().st_mode & 0o7777 == 0o755
    peer.ask(Kind.SETSTAT, string(b"/f"), number(Has.SIZE), (2).to_bytes(8, "big"))
    peer.ask(Kind.SETSTAT, string(b"/f"), number(Has.TIMES), number(5), number(6))
    assert (source / "f").stat().st_mtime == 6 and (source / "f").read_text() == "fo"
    fields = peer.extended(b"statvfs@openssh.com", string(b"/"))
    assert fields.long() == os.statvfs(source).f_bsize


def test_ids_are_those_of_the_map_in_both_directions(source: Path) -> None:
    me, group = os.geteuid(), os.getegid()
    (source / "f").touch()
    asked = order(source, uids=((me, 501), (me + 1, 502)), gids=((group, 601),))
    with served(asked) as peer:
        assert peer.owner(b"/f") == (501, 601)
        # To itself, and only the one of both.
        peer.ask(Kind.SETSTAT, string(b"/f"), number(Has.OWNER), number(501), number(0xFFFFFFFF))
        for guest in (502, me + 1):  # another user's; and an id that stands for none here
            with pytest.raises(Refused) as caught:
                peer.ask(Kind.SETSTAT, string(b"/f"), number(Has.OWNER), number(guest), number(601))
            assert caught.value.status is Status.PERMISSION_DENIED


def test_large_directories_are_listed_in_parts(peer: Peer, source: Path) -> None:
    names = {f"{index:03}{'x' * 200}".encode() for index in range(500)}
    for name in names:
        (source / name.decode()).touch()
    assert peer.names(b"/") == names


def test_pipes_and_devices_are_not_opened_and_hang_nothing(peer: Peer, source: Path) -> None:
    os.mkfifo(source / "pipe")
    for flags in (Open.READ, Open.READ | Open.WRITE):
        with pytest.raises(Refused):
            peer.open(b"/pipe", flags)


def test_open_files_are_limited_and_a_closed_one_makes_room(peer: Peer, source: Path) -> None:
    (source / "f").touch()
    handles = [peer.open(b"/f", Open.READ) for _ in range(sftp_files.MOST_HANDLES)]
    with pytest.raises(Refused):
        peer.open(b"/f", Open.READ)
    with pytest.raises(Refused):
        peer.ask(Kind.OPENDIR, string(b"/"))
    peer.ask(Kind.CLOSE, string(handles[0]))
    with pytest.raises(Refused):
        peer.read(handles[0])
    assert peer.open(b"/f", Open.READ) not in handles


def test_a_packet_that_is_none_gets_an_answer_or_ends_the_connection(source: Path) -> None:
    (source / "f").write_text("kept")
    with served(order(source)) as peer:
        for parts in ((), (number(99),), (string(b"/\0"),), (string(b"x" * 5000),)):
            with pytest.raises(Refused) as caught:
                peer.ask(Kind.LSTAT, *parts)
            assert caught.value.status is Status.BAD_MESSAGE
        with pytest.raises(Refused) as caught:
            peer.extended(b"no-such@example.com")
        assert caught.value.status is Status.OP_UNSUPPORTED
        assert peer.content(b"/f") == b"kept"
        peer.connection.sendall(struct.pack(">IB", MAX_PACKET + 1, Kind.WRITE))
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.answer()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=80)), max_size=8))
def test_whatever_is_sent_the_server_lives_or_hangs_up_and_leaves_its_directory_alone(
    source: Path, sent: list[tuple[int, bytes]]
) -> None:
    with served(order(source)) as peer:
        data = b"".join(struct.pack(">IB", len(body) + 5, kind) + number(7) + body
                        for kind, body in sent)  # fmt: skip
        peer.connection.sendall(data)
        for _ in sent:
            try:
                peer.answer()
            except (Refused, AssertionError):
                continue  # INIT's answer has no number


@pytest.mark.skipif(shutil.which("sftp") is None, reason="needs sftp")
def test_openssh_s_own_client_works_with_it(tmp_path: Path) -> None:
    server = tmp_path / "server"
    server.write_text(f"#!{sys.executable}\n{SERVER.format(tree=TREE)}")
    server.chmod(0o755)
    data = os.urandom(3_000_000)
    (tmp_path / "data").write_bytes(data)
    (tmp_path / "there").mkdir()
    batch = (
        f"cd {tmp_path}/there\nput {tmp_path}/data copy\nchmod 600 copy\nmkdir d\nrename copy d/x\n"
        f"ln -s d/x link\nls -l\ndf\nget d/x {tmp_path}/back\n"
    )
    subprocess.run(
        ["sftp", "-D", str(server), "-b", "-"],
        input=batch.encode(), capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    assert (tmp_path / "back").read_bytes() == (tmp_path / "there/link").read_bytes() == data
