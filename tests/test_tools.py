"""The tools that the other tests stand on: activation, the private place, the terminal."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import DaemonFactory
from tests.waiting import until
from tools import roots, story
from tools.sandbox import CHECKOUT, MULTIPASS, SOCKET_PATH_LIMIT, Sandbox
from tools.terminal import converse


@pytest.mark.parametrize("activated", [False, True], ids=["bound", "activated"])
def test_daemon_serves_the_first_client_and_ends_well(
    daemon: DaemonFactory, activated: bool
) -> None:
    one = daemon(activated=activated)
    done = one.cli("alice", "list")
    assert (done.returncode, done.stdout) == (0, "No instances found.\n"), done.stderr


@pytest.mark.parametrize("activated", [False, True], ids=["bound", "activated"])
def test_killed_daemon_is_followed_by_one_that_still_trusts(
    daemon: DaemonFactory, activated: bool
) -> None:
    one = daemon(activated=activated)
    assert one.cli("alice", "list").returncode == 0
    one.kill()
    if not activated:
        one.start()
    assert one.cli("alice", "list").returncode == 0
    assert one.cli("bob", "list").returncode == 2


def test_activated_socket_is_closed_to_others_until_the_first_client(
    daemon: DaemonFactory,
) -> None:
    one = daemon(activated=True)
    assert stat.S_IMODE(one.socket_path.stat().st_mode) == 0o660
    one.cli("alice", "list")
    assert stat.S_IMODE(one.socket_path.stat().st_mode) == 0o666


def test_activator_that_is_stopped_as_soon_as_its_socket_is_there_ends_well(
    daemon: DaemonFactory,
) -> None:
    for _ in range(5):
        daemon(activated=True).stop()


def test_activated_daemon_that_is_stopped_as_it_begins_ends_well(daemon: DaemonFactory) -> None:
    one = daemon(activated=True)
    with one.connect():
        until(one.sandbox.pid_path.exists, "the daemon")
        one.stop()


def test_socket_path_of_a_sandbox_is_short(sandbox: Sandbox) -> None:
    assert len(str(sandbox.socket_path)) < SOCKET_PATH_LIMIT


def test_terminal_answers_prompts_in_order(daemon: DaemonFactory) -> None:
    one = daemon()
    assert one.cli("alice", "list").returncode == 0
    session = converse(
        [str(MULTIPASS), "set", "local.passphrase"],
        [("enter passphrase: ", "a"), ("re-enter passphrase: ", "b")],
        one.env("alice"),
    )
    assert session.returncode == 1
    assert session.output.endswith("Passphrases do not match\n")


def test_what_is_kept_is_removed_when_it_is_old_and_nobody_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(roots, "_held", {})

    def made(identity: str, second: int) -> Path:
        path = roots.kept("thing", identity, ".tar", lambda part: part.touch())
        os.utime(path, (second, second))
        return path

    monkeypatch.setattr(roots, "MAX_AGE", float("inf"))
    older = [made(identity, number) for number, identity in enumerate("abc")]
    made("d", 3)
    assert all(path.exists() for path in older), "they were handed out to this process"
    roots._held.clear()
    newest = made("e", 4)
    assert sorted(roots.cache_directory().glob("thing-?.tar")) == [
        older[0].with_stem("thing-d"),
        newest,
    ]


def test_sandbox_that_cannot_be_where_it_is_wanted_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sandbox = Sandbox.create(tmp_path / "file" / ".run")
    try:
        assert sandbox.data.parent.is_dir()
    finally:
        sandbox.remove()


def test_what_cannot_be_kept_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(roots.RootError, match=r"can't be kept in .* \(Not a directory\)"):
        roots.kept("thing", "a", ".tar", Path.touch)


def test_sandbox_lets_other_users_in_whatever_the_umask() -> None:
    before = os.umask(0o077)
    try:
        sandbox = Sandbox.create()
    finally:
        os.umask(before)
    try:
        places = [sandbox.root, *sandbox.root.iterdir()]
        assert {stat.S_IMODE(place.stat().st_mode) for place in places} == {0o755}
    finally:
        sandbox.remove()


def test_story_that_nobody_listens_to_ends_without_a_complaint() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "tools.story", "--once"]
    try:
        told = subprocess.run(
            command, cwd=CHECKOUT, stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)
    assert (told.returncode, told.stderr) == (story.UNHEARD, b"")


@pytest.mark.root
@pytest.mark.parametrize("mounting", [True, False], ids=["with /proc", "in a chroot, without"])
def test_commands_run_in_a_root_alone(mounting: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "can_mount_alone", lambda: mounting)
    done = roots.run_in(Path("/"), "sh", "-c", "echo $$")
    assert done.stdout == "1\n"


KILLED = """
import os
from tools import roots
with roots.scratch("multipass-test-") as place:
    (place / "file").touch()
    print(place, flush=True)
    os._exit(0)
"""


@pytest.mark.root
@pytest.mark.skipif(not roots.can_mount_alone(), reason=roots.NO_MOUNT_ALONE)
def test_what_a_killed_run_has_mounted_is_removed_by_the_next_and_what_is_in_use_is_not() -> None:
    command = [sys.executable, "-c", KILLED]
    left = Path(subprocess.check_output(command, cwd=CHECKOUT, text=True).strip())
    with roots.scratch("multipass-test-") as used:
        roots.remove_leftovers()
        assert not left.exists() and used.exists()
    assert not used.exists()
