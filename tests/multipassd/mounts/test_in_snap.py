"""A mount in the snap: served by snap_daemon, as far as a directory is open to all users."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.mounts import jail, sftp_files
from multipassd.mounts.file_server import FileServer
from multipassd.mounts.jail import NoJail, SourceRefused, User
from multipassd.mounts.sftp_packets import Has, Kind, Open, Status, number, string
from multipassd.system import installation
from tests.multipassd.mounts.peer import Peer, Refused, order, served
from tests.reachable import reachable
from tests.system.people import People

pytestmark = pytest.mark.root
NEW = Open.READ | Open.WRITE | Open.CREATE


@pytest.fixture
def source(tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Alice's and open to all; bob is who serves, and nothing else here is open to him."""
    monkeypatch.setenv("SNAP_NAME", "multipass")
    monkeypatch.setattr(jail, "SNAP_DAEMON", pwd.getpwuid(people.bob.uid).pw_name)
    monkeypatch.setattr(installation.Snap, "mount_places", ("/mnt", str(tmp_path / "shown")))
    reachable(tmp_path)
    made = tmp_path / "shown" / "source"
    made.mkdir(parents=True)
    os.chown(made, people.alice.uid, people.alice.gid)
    made.chmod(0o777)
    yield made


def refusal(source: Path, uid: int) -> str:
    with pytest.raises(SourceRefused) as caught, served(order(source, uid)):
        pass
    return str(caught.value)


def test_what_is_open_to_all_is_read_and_written_by_the_one_user_that_the_snap_may_become(
    source: Path, people: People
) -> None:
    (source / "f").write_text("alice's")
    os.chown(source / "f", people.alice.uid, people.alice.gid)
    (source / "secret").write_text("alice's")
    (source / "secret").chmod(0o640)
    with served(order(source, people.alice.uid)) as peer:
        assert peer.content(b"/f") == b"alice's"
        handle = peer.open(b"/new", NEW, number(Has.MODE) + number(0o640))
        peer.write(handle, b"hello", offset=5 << 30)
        # Both are the caller's to the guest, which may also say so.
        assert peer.owner(b"/new")[0] == peer.owner(b"/f")[0] == 1000
        peer.ask(Kind.SETSTAT, string(b"/new"), number(Has.OWNER), number(1000), number(0xFFFFFFFF))
        for path, flags in ((b"/secret", Open.READ), (b"/f", Open.WRITE)):
            with pytest.raises(Refused) as caught:
                peer.open(path, flags)
            assert caught.value.status is Status.PERMISSION_DENIED
    assert (source / "new").stat().st_uid == people.bob.uid
    assert (source / "new").stat().st_size == (5 << 30) + 5


def test_a_link_out_of_it_is_dead_and_nothing_outside_is_changed(
    source: Path, people: People
) -> None:
    outside = source.with_name("outside")
    outside.mkdir()
    outside.chmod(0o777)
    (outside / "f").write_text("outside")
    (outside / "f").chmod(0o666)
    (source / "out").symlink_to(outside)
    (source / "dots").symlink_to(f"../{outside.name}")
    (source / "magic").symlink_to("/proc/self/cwd")
    with served(order(source, people.alice.uid)) as peer:
        for path in (b"/out/f", b"/dots/f", b"/../outside/f", b"/magic/etc/passwd", b"/etc/passwd"):
            with pytest.raises(Refused) as caught:
                peer.content(path)
            assert caught.value.status is Status.NO_SUCH_FILE
        for kind in (Kind.MKDIR, Kind.REMOVE, Kind.SETSTAT):
            with pytest.raises(Refused):
                peer.ask(kind, string(b"/out/f"), number(Has.MODE), number(0o600))
        assert peer.names(b"/") == {b"out", b"dots", b"magic"}
        peer.ask(Kind.SYMLINK, string(b"/etc"), string(b"/made"))
        with pytest.raises(Refused):
            peer.content(b"/made/passwd")
    assert (outside / "f").read_text() == "outside"
    assert (outside / "f").stat().st_mode & 0o777 == 0o666
    assert os.listdir(outside) == ["f"]


@pytest.mark.parametrize(("mode", "may", "bits"), [(0o700, "list", "rx"), (0o751, "list", "rx")])
def test_a_closed_source_is_refused_also_to_its_owner_and_to_root(
    source: Path, people: People, mode: int, may: str, bits: str
) -> None:
    source.chmod(mode)
    for uid in (people.alice.uid, 0):
        why = refusal(source, uid)
        assert f'not all users of this host may {may} "{source}"' in why
        assert f"`chmod o+{bits}`" in why and jail.CONNECT in why


def test_a_closed_directory_on_the_way_is_refused_though_it_is_open_to_the_server(
    source: Path, people: People
) -> None:
    os.chown(source.parent, people.bob.uid, people.bob.gid)
    source.parent.chmod(0o750)
    why = refusal(source, people.alice.uid)
    assert f'not all users of this host may enter "{source.parent}"' in why


def test_a_link_in_the_path_is_refused(source: Path, people: People) -> None:
    link = source.with_name("link")
    link.symlink_to(source)
    assert f'"{link}" is a symbolic link' in refusal(link, people.alice.uid)


@pytest.mark.parametrize("path", ["/", "/etc", "/var/snap/multipass/common", "/mntx"])
def test_other_places_of_the_host_are_refused(source: Path, people: People, path: str) -> None:
    """What snap_daemon may reach there is the machines' disks."""
    assert f'"{path}" is not below /mnt or ' in refusal(Path(path), people.alice.uid)


def test_the_server_has_no_right_and_no_other_file(source: Path, people: People) -> None:
    with FileServer.started(order(source, people.alice.uid)) as server:
        Peer(server.connection).names(b"/")
        place = Path(f"/proc/{server.pid}")
        status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines())
        assert {status[name] for name in ("CapEff", "CapPrm", "CapInh")} == {"0" * 16}
        assert (status["NoNewPrivs"], status["Groups"].strip()) == ("1", "")
        assert set(status["Uid"].split()) == {str(people.bob.uid)}
        targets = [os.readlink(each) for each in (place / "fd").iterdir()]
        assert {target.partition(":")[0] for target in targets} == {
            "/dev/null", "socket", str(source),
        }  # fmt: skip


def test_as_many_directories_are_listed_at_once_as_there_are_handles(
    source: Path, people: People
) -> None:
    with served(order(source, people.alice.uid)) as peer:
        for _ in range(sftp_files.MOST_HANDLES):
            peer.ask(Kind.OPENDIR, string(b"/"))
        peer.ask(Kind.LSTAT, string(b"/"))
        with pytest.raises(Refused):
            peer.ask(Kind.OPENDIR, string(b"/"))


def test_virtiofsd_has_no_namespace_there_and_the_sentence_names_the_other_kind(
    source: Path, people: People
) -> None:
    user = User.of(people.alice.uid, people.alice.gid)
    with pytest.raises(NoJail, match="`--type classic`, needs none"):
        jail.enter_with_programs(str(source), user, "/", 100)
