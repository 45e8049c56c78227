"""Files of this host are opened with the rights of the user who launches, and no others."""

import os
import pwd
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from multipassd.auth.peer import Credentials
from multipassd.images import open_as_caller
from multipassd.images.errors import ImageError, OverTcp
from multipassd.images.image import Progress
from multipassd.images.library import Images
from multipassd.images.open_as_caller import open_as
from tests import ports
from tests.conftest import DaemonFactory
from tests.multipassd.images.conftest import ME, launched, run
from tests.reachable import reachable

MakeImages = Callable[..., Images]
GROUP = 4242  # a group that no user has by the host's own files


@pytest.fixture
def bob(tmp_path: Path) -> Credentials:
    """Another user, who reaches the directory of the test and not what is closed in it."""
    reachable(tmp_path)
    user = pwd.getpwnam("daemon")
    return Credentials(user.pw_uid, user.pw_gid, 1, frozenset({user.pw_gid, GROUP}))


def refusal(images: Images, url: str, caller: Credentials | None) -> str:
    with pytest.raises(ImageError) as caught:
        run(images.resolve(url, "", caller))
    return caught.value.message


@pytest.mark.root
def test_a_file_that_the_caller_can_not_read_is_refused_though_root_could(
    make_images: MakeImages, raw: Path, bob: Credentials
) -> None:
    raw.chmod(0o600)
    assert refusal(make_images(), f"file://{raw}", bob) == (
        f"Custom image `{raw}` can't be read: Permission denied. It is opened with the rights of "
        f"the user who launches, uid {bob.uid}."
    )
    assert launched(make_images(), f"file://{raw}", caller=ME).format == "raw"
    # That root has it in the cache gives no other user access.
    assert "Permission denied" in refusal(make_images(), f"file://{raw}", bob)


@pytest.mark.root
@pytest.mark.parametrize(
    ("mode", "owner", "group"), [(0o444, 0, 0), (0o440, 0, GROUP), (0o400, 1, 0)]
)
def test_what_the_caller_can_read_is_launched_by_owner_group_or_for_all(
    make_images: MakeImages, raw: Path, bob: Credentials, mode: int, owner: int, group: int
) -> None:
    os.chown(raw, bob.uid if owner else 0, group)
    raw.chmod(mode)
    assert launched(make_images(), f"file://{raw}", caller=bob).format == "raw"


@pytest.mark.root
def test_in_a_closed_directory_what_exists_and_what_does_not_are_told_alike(
    make_images: MakeImages, raw: Path, bob: Credentials, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    raw.rename(closed / "there.img")
    told = [
        refusal(make_images(), f"file://{closed}/{name}.img", bob).replace(name, "NAME")
        for name in ("there", "gone")
    ]
    assert told[0] == told[1]
    assert "Permission denied" in told[0]


@pytest.mark.root
def test_between_look_and_copy_the_right_can_be_lost(
    make_images: MakeImages, raw: Path, bob: Credentials
) -> None:
    images = make_images()
    raw.chmod(0o444)
    image = run(images.resolve(f"file://{raw}", "", bob))
    raw.chmod(0o400)
    with pytest.raises(ImageError, match="Permission denied"):
        run(images.fetch(image, caller=bob))


def test_a_service_that_is_not_roots_opens_files_for_its_own_user_only(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(ImageError, match="runs as uid 4711 and opens files for that user only"):
        open_as(Credentials(4712, 0, 1, frozenset()), f"file://{raw}")


def test_a_path_is_taken_as_it_is_written_before_it_is_decoded(
    make_images: MakeImages, raw: Path, qcow2: Path, tmp_path: Path
) -> None:
    images = make_images()
    (tmp_path / "a b.img").write_bytes(raw.read_bytes())
    assert launched(images, f"file://{tmp_path}/a%20b.img").format == "raw"
    (tmp_path / "a%20b.img").write_bytes(qcow2.read_bytes())
    assert launched(images, f"file://{tmp_path}/a%20b.img").format == "qcow2"


def test_a_file_system_that_does_not_answer_is_given_up(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_as_caller, "_open", lambda caller, path: signal.pause())
    monkeypatch.setattr(open_as_caller, "SECONDS", 0.2)
    with pytest.raises(ImageError, match="can't be read: Connection timed out"):
        open_as(ME, f"file://{raw}")


def test_a_child_that_dies_is_an_error(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies = lambda caller, path: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    monkeypatch.setattr(open_as_caller, "_open", dies)
    with pytest.raises(ImageError, match="can't be read: Input/output error"):
        open_as(ME, f"file://{raw}")


def test_in_the_snap_others_have_what_everybody_may_read(
    raw: Path, tmp_path: Path, bob: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAP_NAME", "multipass")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    raw.chmod(0o640)
    for missing in (raw, tmp_path / "gone"):
        with pytest.raises(ImageError, match="it has to be readable for all users"):
            open_as(bob, f"file://{missing}")
    raw.chmod(0o644)
    tmp_path.chmod(0o700)
    with pytest.raises(ImageError, match="it has to be readable for all users"):
        open_as(bob, f"file://{raw}")
    tmp_path.chmod(0o711)
    path, file = open_as(bob, f"file://{raw}")
    with file:
        assert (path, file.read()) == (str(raw), raw.read_bytes())


def test_over_tcp_no_file_of_the_host_is_launched(daemon: DaemonFactory, raw: Path) -> None:
    url = f"file://{raw}"
    with ports.reserved() as port:
        tcp = f"{ports.LOOPBACK}:{port}"
        running = daemon(start=False, env={"MULTIPASS_ACCELERATOR": "tcg"})
        running.options += ["--address", running.address, "--address", tcp]
        running.start()
        assert running.cli("alice", "list").returncode == 0  # trusted from now on
        far = {"MULTIPASS_SERVER_ADDRESS": tcp}
        said = running.cli("alice", "launch", url, env=far)
    assert said.returncode == 2
    assert OverTcp(url).message in said.stderr


def test_a_file_that_is_no_image_is_refused_before_any_of_it_is_copied(
    make_images: MakeImages, tmp_path: Path
) -> None:
    text = tmp_path / "secrets"
    text.write_text("root:$y$j9T$...\n" * 1000, encoding="ascii")
    seen: list[Progress] = []
    with pytest.raises(ImageError, match="no disk image"):
        launched(make_images(), f"file://{text}", lambda kind, _: seen.append(kind))
    assert seen == []


@pytest.mark.parametrize("name", ["download.part", "disk.img", "unpacked.part", "image.json"])
def test_a_link_planted_in_the_cache_is_not_followed(
    make_images: MakeImages, raw: Path, tmp_path: Path, name: str
) -> None:
    url = f"file://{raw}"
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"of another user")
    place = tmp_path / "images" / run(make_images().resolve(url, "", ME)).id
    place.mkdir(parents=True)
    (place / name).symlink_to(secret)
    try:
        base = launched(make_images(), url)
    except ImageError as error:
        assert "was not stored" in error.message
        assert not place.exists()
        base = launched(make_images(), url)  # and stands in nobody's way
    assert Path(base.path).read_bytes() == raw.read_bytes()
    assert not Path(base.path).is_symlink()
    assert secret.read_bytes().endswith(b"of another user")


def test_a_link_planted_in_the_place_of_an_images_directory_is_not_followed(
    make_images: MakeImages, raw: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "download.part").write_bytes(raw.read_bytes())
    images = tmp_path / "images"
    images.mkdir()
    (images / run(make_images().resolve(f"file://{raw}", "", ME)).id).symlink_to(elsewhere)
    with pytest.raises(ImageError, match="was not stored"):
        launched(make_images(), f"file://{raw}")
    assert [path.name for path in elsewhere.iterdir()] == ["download.part"]
