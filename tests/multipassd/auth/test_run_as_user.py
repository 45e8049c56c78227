from __future__ import annotations

import os
import pwd
import signal
import time
from pathlib import Path

import pytest

from multipassd.auth import run_as_user
from multipassd.auth.run_as_user import HomeError, run_as

OWN = pwd.getpwuid(os.geteuid())


@pytest.fixture
def other() -> pwd.struct_passwd:
    return pwd.getpwnam("daemon")


def status_of_child() -> bytes:
    lines = Path("/proc/self/status").read_bytes().splitlines()
    wanted = (b"Uid:", b"Gid:", b"Groups:", b"CapPrm:", b"CapEff:", b"CapAmb:", b"Umask:")
    return b"\n".join(b" ".join(line.split()) for line in lines if line.startswith(wanted))


@pytest.mark.root
def test_the_child_has_all_of_the_users_credentials_and_none_of_roots(
    other: pwd.struct_passwd,
) -> None:
    status = run_as(other, status_of_child).decode()
    uid, gid = other.pw_uid, other.pw_gid
    assert f"Uid: {uid} {uid} {uid} {uid}" in status
    assert f"Gid: {gid} {gid} {gid} {gid}" in status
    assert f"Groups: {' '.join(map(str, sorted(os.getgrouplist(other.pw_name, gid))))}" in status
    assert "Umask: 0077" in status
    for kind in ("CapPrm", "CapEff", "CapAmb"):
        assert f"{kind}: 0000000000000000" in status


@pytest.mark.root
def test_the_child_can_not_touch_what_is_roots(other: pwd.struct_passwd, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("secret")
    (tmp_path / "file").chmod(0o600)
    with pytest.raises(HomeError, match="Permission denied"):
        run_as(other, lambda: (tmp_path / "file").read_bytes())


def test_environment_and_directory_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    text = run_as(OWN, lambda: f"{sorted(os.environ)} {os.getcwd()}".encode()).decode()
    assert text == "['HOME', 'LANG', 'LOGNAME', 'PATH', 'USER'] /"


def test_the_child_has_none_of_our_files(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        number = file.fileno()
        with pytest.raises(HomeError, match="Bad file descriptor"):
            run_as(OWN, lambda: os.write(number, b"x").to_bytes())


def test_a_failure_is_told_as_one_printable_line() -> None:
    def fail() -> bytes:
        raise ValueError("a\x1b[2Jb\nc" + "x" * 1000)

    with pytest.raises(HomeError) as caught:
        run_as(OWN, fail)
    assert str(caught.value).isprintable()
    assert "a?[2Jb?c" in str(caught.value)
    assert len(str(caught.value)) < run_as_user.ERROR_LIMIT + 100


def test_a_file_that_cannot_be_had_is_told_in_words() -> None:
    own = pwd.getpwuid(os.geteuid())
    with pytest.raises(HomeError) as caught:
        run_as(own, lambda: Path("/nonexistent/file").read_bytes())
    assert str(caught.value).endswith(": /nonexistent/file: No such file or directory")


def test_exactly_the_limit_is_handed_back_and_more_is_refused() -> None:
    assert len(run_as(OWN, lambda: b"x" * run_as_user.LIMIT)) == run_as_user.LIMIT
    with pytest.raises(HomeError, match="more than"):
        run_as(OWN, lambda: b"x" * (run_as_user.LIMIT + 1))


def test_a_home_that_does_not_answer_is_given_up() -> None:
    def hang() -> bytes:
        signal.pause()
        return b""

    with pytest.raises(HomeError, match=r"did not answer within 0\.2 seconds"):
        run_as(OWN, hang, timeout=0.2)


def test_a_child_that_dies_is_an_error_and_not_an_answer() -> None:
    def die() -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b"never"

    with pytest.raises(HomeError, match="without an answer"):
        run_as(OWN, die)


def test_no_child_is_left_behind() -> None:
    run_as(OWN, lambda: str(os.getpid()).encode())
    deadline = time.monotonic() + 5
    child = int(run_as(OWN, lambda: str(os.getpid()).encode()))
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{child}").exists()


def test_only_root_may_act_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HomeError, match="Only root"):
        run_as(pwd.getpwnam("daemon"), lambda: b"")
