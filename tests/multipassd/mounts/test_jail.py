"""What serves a directory is its user, and has that directory for all there is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.mounts.file_server import FileServer
from multipassd.mounts.jail import NoJail, SourceRefused, User
from multipassd.mounts.sftp_packets import Kind, Open, Status, number, string
from tests.multipassd.mounts.peer import Peer, Refused, order, served
from tests.reachable import reachable
from tests.system.people import People

root = pytest.mark.root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    reachable(tmp_path)
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def alices(source: Path, people: People) -> Iterator[Path]:
    os.chown(source, people.alice.uid, people.alice.gid)
    source.chmod(0o700)
    yield source


def refusal(source: Path, uid: int) -> str:
    with pytest.raises(SourceRefused) as caught, served(order(source, uid)):
        pass
    return str(caught.value)


@root
def test_bob_gets_nothing_of_alices_closed_directory_and_alice_all(
    alices: Path, people: People
) -> None:
    (alices / "inner").mkdir()
    assert refusal(alices, people.bob.uid) == f'"{alices}" is not readable'
    assert refusal(alices / "inner", people.bob.uid) == f'"{alices / "inner"}" is not readable'
    with served(order(alices, people.alice.uid)) as peer:
        peer.open(b"/made", Open.WRITE | Open.CREATE)
    assert (alices / "made").stat().st_uid == people.alice.uid


@root
def test_roots_files_stay_unread_also_behind_links_out_of_the_directory(
    alices: Path, people: People
) -> None:
    (alices / "secret").write_text("root's")
    (alices / "secret").chmod(0o600)
    (alices / "shadow").symlink_to("/etc/shadow")
    (alices / "passwd").symlink_to("../" * 20 + "etc/passwd")
    with served(order(alices, people.alice.uid)) as peer:
        assert failure(peer, b"/secret") is Status.PERMISSION_DENIED
        for path in (b"/shadow", b"/passwd", b"/../../../../etc/passwd", b"/proc/self/root"):
            assert failure(peer, path) is Status.NO_SUCH_FILE
        with pytest.raises(Refused) as caught:
            peer.ask(Kind.SETSTAT, string(b"/secret"), number(4), number(0o666))
        assert caught.value.status is Status.PERMISSION_DENIED


@root
def test_root_itself_is_served_without_its_right_to_all_files(alices: Path, people: People) -> None:
    (alices / "theirs").touch(0o600)
    os.chown(alices / "theirs", people.alice.uid, people.alice.gid)
    assert "not readable" in refusal(alices, 0)
    alices.chmod(0o755)
    with served(order(alices, 0)) as peer:
        assert failure(peer, b"/theirs") is Status.PERMISSION_DENIED


@root
def test_the_server_has_no_capability_no_other_file_and_the_accounts_groups(
    alices: Path, people: People
) -> None:
    with FileServer.started(order(alices, people.alice.uid)) as server:
        Peer(server.connection).names(b"/")  # by now it has closed all else
        place = Path(f"/proc/{server.pid}")
        status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines())
        assert {status[name] for name in ("CapEff", "CapPrm", "CapInh")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        groups = {int(word) for word in status["Groups"].split()}
        assert groups == User.of(people.alice.uid, 0).groups and len(groups) > 1
        targets = [os.readlink(each) for each in (place / "fd").iterdir()]
        assert {target.partition(":")[0] for target in targets} == {"/dev/null", "socket"}


def test_a_link_anywhere_in_the_path_is_not_followed(source: Path) -> None:
    (source / "inner").mkdir()
    link = source.with_name("link")
    link.symlink_to(source)
    for path in (link, link / "inner"):
        assert refusal(path, os.geteuid()).startswith(f'"{link}" is a symbolic link')
    assert "no absolute path" in refusal(source / "inner/..", os.geteuid())


def test_a_source_that_is_gone_or_no_directory_is_named(source: Path) -> None:
    (source / "file").touch()
    assert refusal(source / "none/deeper", os.geteuid()) == f'"{source}/none" does not exist'
    assert refusal(source / "file", os.geteuid()) == f'"{source}/file" is not a directory'


def test_a_directory_that_is_moved_and_replaced_afterwards_is_still_the_one_that_is_served(
    source: Path,
) -> None:
    (source / "f").write_text("first")
    with served(order(source)) as peer:
        source.rename(source.with_name("aside"))
        source.symlink_to("/etc")
        assert peer.content(b"/f") == b"first"


def test_a_service_that_is_not_root_serves_its_own_user_only(source: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("needs an ordinary user")
    with pytest.raises(NoJail), served(order(source, os.geteuid() + 1)):
        pass


def failure(peer: Peer, path: bytes) -> Status:
    with pytest.raises(Refused) as caught:
        peer.content(path)
    return caught.value.status
