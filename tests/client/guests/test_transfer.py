"""`transfer` through OpenSSH's client, a real SSH server and its SFTP server."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from pathlib import Path

import grpc
import pytest

from protocol.messages.guests import HostKeysReply
from protocol.messages.lifecycle import SSHInfoReply
from tests.client.guests import sshd
from tests.client.guests.background import Background, OnTerminal
from tests.client.program import Program, Result
from tests.client.service import Service, replying
from tests.client.service import failing as failing_with
from tests.waiting import PATIENCE, until


def copied(program: Program, *words: object) -> None:
    """A transfer that succeeds and says nothing."""
    result = program.run("transfer", *map(str, words))
    assert (result.code, result.out, result.err) == (0, "", "")


def failing(program: Program, *words: object) -> str:
    """What is said about a transfer that fails, without the time of log lines."""
    result = program.run("transfer", *map(str, words))
    assert (result.code, result.out) == (2, "")
    return "\n".join(line.partition("] [error] [sftp] ")[2] or line for line in lines(result))


def lines(result: Result) -> list[str]:
    return result.err.splitlines()


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A directory of the instance, which is this host."""
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def test_a_file_goes_there_and_back_with_its_permissions(
    program: Program, here: Path, there: Path
) -> None:
    content = os.urandom(3_000_001)
    (here / "file").write_bytes(content)
    (here / "file").chmod(0o750)
    copied(program, here / "file", f"guest:{there}/copy")
    copied(program, f"guest:{there}/copy", here / "back")
    for path in (there / "copy", here / "back"):
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert sorted(os.listdir(there)) == ["copy"]
    assert sorted(os.listdir(here)) == ["back", "file"]


def tree(root: Path) -> dict[bytes, tuple[object, ...]]:
    """What is below a directory: modes, contents, where links lead to."""
    found: dict[bytes, tuple[object, ...]] = {}
    for place, directories, files in os.walk(os.fsencode(root)):
        for name in directories + files:
            path = os.path.join(place, name)
            about = os.lstat(path)
            if stat.S_ISLNK(about.st_mode):
                content: object = os.readlink(path)
            else:
                content = Path(os.fsdecode(path)).read_bytes() if name in files else None
            key = os.path.relpath(path, os.fsencode(root))
            found[key] = (stat.S_IFMT(about.st_mode), about.st_mode & 0o777, content)
    return found


def furnish(root: Path) -> Path:
    """A directory of all kinds of names, and of what is no plain file."""
    (root / "in ner" / "deep").mkdir(parents=True)
    (root / "empty directory").mkdir()
    for number in range(150):
        (root / "in ner" / f"file{number}").write_bytes(os.urandom(number * 7))
    (root / "empty").touch(0o600)
    for name in (b"new\nline", b"not utf-8 \xff\xfe", "ünïcode".encode(), b"-v", b"a*b", b" "):
        Path(os.fsdecode(os.path.join(os.fsencode(root), name))).write_bytes(name)
    (root / "script").write_bytes(b"#!/bin/sh\n")
    (root / "script").chmod(0o755)
    (root / "large").write_bytes(os.urandom(700_000))
    (root / "link").symlink_to("script")
    (root / "dead link").symlink_to("/nowhere/at all")
    (root / "in ner" / "up").symlink_to("..")
    (root / "in ner" / "deep" / "last").write_text("last")
    (root / "in ner" / "deep").chmod(0o555)  # what is read-only is still filled
    return root


def test_directories_go_there_and_back_with_all_that_is_in_them(
    program: Program, here: Path, there: Path
) -> None:
    furnish(here / "some")
    copied(program, "-r", here / "some", f"guest:{there}/new")
    copied(program, "--recursive", f"guest:{there}/new/", here / "back")
    expected = tree(here / "some")
    assert tree(there / "new") == expected
    assert tree(here / "back") == expected
    again = here / "again"
    again.mkdir()
    # Into a directory that is there, under its own name; and once more over what is there.
    for _ in range(2):
        copied(program, "-r", f"{here}/some/", f"guest:{there}")
        copied(program, "-r", f"guest:{there}/some", again)
    assert tree(there / "some") == tree(again / "some") == expected
    assert not [name for name in os.listdir(here) if name.endswith(".part")]


def test_streams_go_there_and_back(program: Program, there: Path) -> None:
    data = bytes(range(256)) * 5000
    sent = program.run("transfer", "-", f"guest:{there}/stream", input=data)
    assert (sent.code, sent.out, sent.err) == (0, "", "")
    assert (there / "stream").read_bytes() == data
    assert stat.S_IMODE((there / "stream").stat().st_mode) == 0o664
    (there / "text").write_text("hällo\n" * 20000)
    received = program.run("transfer", f"guest:{there}/text", "-")
    assert (received.code, received.out, received.err) == (0, "hällo\n" * 20000, "")
    program.run("transfer", "-", f"guest:{there}", input=b"into a directory")
    assert (there / "stream_output.dat").read_bytes() == b"into a directory"


def test_several_sources_go_into_a_directory(program: Program, here: Path, there: Path) -> None:
    for name in ("a", "b"):
        (here / name).write_text(name)
    copied(program, here / "a", here / "b", f"guest:{there}")
    assert sorted(os.listdir(there)) == ["a", "b"]
    (here / "back").mkdir()
    copied(program, f"guest:{there}/a", f"guest:{there}/b", here / "back")
    assert sorted(os.listdir(here / "back")) == ["a", "b"]
    wrong = here / "a", here / "b", f"guest:{there}/a"
    assert failing(program, *wrong) == f'Target "{there}/a" is not a directory'
    back = f"guest:{there}/a", f"guest:{there}/b", here / "missing"
    assert failing(program, *back) == f'Target "{here}/missing" is not a directory'


def test_the_home_is_where_paths_in_the_instance_begin(
    program: Program, here: Path, service: object
) -> None:
    home = Path.home()
    name = f".multipass-test-{os.urandom(6).hex()}"
    (here / name).write_text("dot file")
    try:
        for target in (f"guest:{name}", f"guest:~/{name}", "guest:", "guest:~", "guest:."):
            copied(program, here / name, target)
            assert (home / name).read_text() == "dot file", target
            copied(program, f"guest:~/{name}", here / "back")
            (home / name).unlink()
        assert (here / "back").read_text() == "dot file"
    finally:
        (home / name).unlink(missing_ok=True)


def test_sparse_files_stay_sparse(program: Program, here: Path, there: Path) -> None:
    with (here / "sparse").open("wb") as file:
        file.seek(2 << 20)
        file.write(b"middle")
        file.truncate(16 << 20)
    copied(program, here / "sparse", f"guest:{there}/sparse")
    copied(program, f"guest:{there}/sparse", here / "back")
    content = (here / "sparse").read_bytes()
    for path in (there / "sparse", here / "back"):
        assert path.read_bytes() == content
        assert path.stat().st_blocks * 512 < 1 << 20


def test_missing_parents_are_made_on_request(program: Program, here: Path, there: Path) -> None:
    (here / "file").write_text("x")
    told = "--parents makes the directories of a target that are missing."
    wrong = here / "file", f"guest:{there}/a/b/file"
    assert failing(program, *wrong) == f"remote target does not exist\n{told}"
    copied(program, "-p", *wrong)
    assert (there / "a/b/file").read_text() == "x"
    back = f"guest:{there}/a/b/file", here / "c/d/file"
    assert failing(program, *back) == f"local target does not exist\n{told}"
    copied(program, "--parents", *back)
    assert (here / "c/d/file").read_text() == "x"


def test_what_is_in_the_way_is_told_and_all_others_go_on(
    program: Program, here: Path, there: Path
) -> None:
    (here / "d").mkdir()
    for name in ("a", "b", "c"):
        (here / "d" / name).write_text(name)
    (there / "d" / "b").mkdir(parents=True)
    told = f'cannot overwrite remote directory "{there}/d/b" with non-directory'
    assert failing(program, "-r", here / "d", f"guest:{there}") == told
    assert sorted(os.listdir(there / "d")) == ["a", "b", "c"]
    (there / "d" / "b").rmdir()
    (there / "d" / "b").write_text("b")
    (here / "back" / "d" / "a").mkdir(parents=True)
    told = f"cannot overwrite local directory {here}/back/d/a with non-directory"
    assert failing(program, "-r", f"guest:{there}/d", here / "back") == told
    assert sorted(os.listdir(here / "back" / "d")) == ["a", "b", "c"]
    (here / "file").touch()
    told = f"cannot overwrite local non-directory {here}/file with directory"
    assert failing(program, "-r", f"guest:{there}/d", here / "file") == told
    told = f"cannot create remote directory {there}/d/a: Failure"
    assert failing(program, "-r", here / "d", f"guest:{there}/d/a") == told


def test_directories_need_the_recursive_mode(program: Program, here: Path, there: Path) -> None:
    (here / "file").write_text("x")
    told = f"omitting local directory {here}: recursive mode not specified"
    assert failing(program, here, here / "file", f"guest:{there}") == told
    assert (there / "file").read_text() == "x"
    told = f"omitting remote directory {there}: recursive mode not specified"
    assert failing(program, f"guest:{there}", here) == told
    assert failing(program, f"guest:{there}", "-") == told


def test_what_is_missing_is_told(program: Program, here: Path, there: Path) -> None:
    why = "No such file or directory"
    wrong = failing(program, here / "no", f"guest:{there}")
    assert wrong == f"cannot access {here}/no: {why}"
    wrong = failing(program, f"guest:{there}/no", here)
    assert wrong == f"cannot access {there}/no: {why}"
    wrong = failing(program, f"guest:{there}/*.log", here)
    assert wrong.startswith(f"cannot access {there}/*.log: {why}\nWildcards are not expanded")


def test_a_link_that_the_user_names_stays_one(program: Program, here: Path, there: Path) -> None:
    (here / "file").write_text("new")
    (there / "real").write_text("old")
    (there / "link").symlink_to("real")
    copied(program, here / "file", f"guest:{there}/link")
    assert (there / "link").is_symlink()
    assert (there / "real").read_text() == "new"


def test_no_link_below_the_target_is_followed(program: Program, here: Path, there: Path) -> None:
    """Such a link may come from an earlier transfer of the same instance."""
    (there / "d" / "inner").mkdir(parents=True)
    (there / "d" / "file").write_text("sent")
    (there / "d" / "inner" / "file").write_text("sent")
    outside = here / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (here / "d").mkdir()
    (here / "d" / "inner").symlink_to(outside)
    (here / "d" / "file").symlink_to(outside / "kept")
    told = f"cannot overwrite local non-directory {here}/d/inner with directory"
    assert failing(program, "-r", f"guest:{there}/d", here) == told
    assert os.listdir(outside) == ["kept"]
    assert (outside / "kept").read_text() == "kept"
    assert (here / "d" / "file").read_text() == "sent"


def test_devices_and_pipes_are_written_in_place(program: Program, there: Path) -> None:
    (there / "file").write_text("x")
    copied(program, f"guest:{there}/file", "/dev/null")
    assert program.run("transfer", f"guest:{there}/file", "/dev/stdout").out == "x"
    copied(program, there / "file", "guest:/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert program.run("transfer", "/dev/stdin", f"guest:{there}/in", input=b"y").code == 0
    assert (there / "in").read_text() == "y"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a"], "Not enough arguments given"),
        (["-", "-"], "Only one '-' allowed"),
        (["-", "a", "guest:b"], "Only two arguments allowed when using '-'"),
        (["a", "-"], "Source must be from inside an instance"),
        (["-", "a"], "Target must be inside an instance"),
        (["guest:a", "b", "c"], "All sources must be from inside an instance"),
        (["a", "./b:c"], "An instance name is needed for either source or destination"),
        (["guest:a", "guest:b"], "Cannot specify an instance name for both source and destination"),
    ],
)
def test_words_that_make_no_sense_are_told(program: Program, words: list[str], told: str) -> None:
    result = program.run("transfer", *words)
    assert (result.code, result.out, result.err) == (1, "", f"{told}\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_transfer_leaves_no_part_of_a_file(
    program: Program, here: Path, there: Path, background: list[Background],
    number: signal.Signals, code: int,
) -> None:  # fmt: skip
    """Neither under its name nor under another."""
    for place in (here, there):
        (place / "file").write_text("old")
    upload = Background(program, "transfer", "-", f"guest:{there}/file", stdin=subprocess.PIPE)
    background.append(upload)
    upload.process.stdin.write(b"half")
    upload.process.stdin.flush()
    until(lambda: _part(there) == 4, "the first half")
    upload.process.send_signal(number)
    assert upload.process.wait(PATIENCE) == code
    assert sorted(os.listdir(there)) == ["file"]
    assert (there / "file").read_text() == "old"


def test_an_interrupted_download_leaves_what_was_there(
    program: Program, here: Path, there: Path, background: list[Background]
) -> None:
    with (there / "endless").open("wb") as file:
        file.truncate(1 << 40)
    (here / "file").write_text("old")
    download = Background(program, "transfer", f"guest:{there}/endless", f"{here}/file")
    background.append(download)
    until(lambda: _part(here) is not None, "the file to be opened")
    download.process.send_signal(signal.SIGINT)
    assert download.process.wait(PATIENCE) == 130
    assert os.listdir(here) == ["file"]
    assert (here / "file").read_text() == "old"


def _part(place: Path) -> int | None:
    """The size of the file that is being written."""
    return next((path.stat().st_size for path in place.glob(".multipass-*.part")), None)


def test_an_instance_without_an_sftp_server_is_told(
    program: Program, here: Path, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "without").mkdir()
    other = sshd.Sshd(tmp_path / "without", sftp=False)
    try:
        service.answers |= {
            "ssh_info": sshd.reached_by(other.info), "host_keys": sshd.keeping(other.host_key)
        }  # fmt: skip
        told = failing(program, here, "guest:")
    finally:
        other.close()
    assert told == (
        "transfer failed: the instance has no SFTP server\n"
        "Install one in it: Debian and Ubuntu have it in the package openssh-sftp-server."
    )


def test_an_instance_that_does_not_run_is_not_started(program: Program, service: Service) -> None:
    told = 'instance "guest" is not running'
    service.answers["ssh_info"] = failing_with(grpc.StatusCode.ABORTED, told)
    assert failing(program, "/etc/passwd", "guest:") == f"transfer failed: {told}"


def test_a_terminal_shows_how_much_has_come_at_which_rate(
    program: Program, here: Path, there: Path, background: list[Background]
) -> None:
    with (there / "large").open("wb") as file:
        file.truncate(40 << 30)
    shown = OnTerminal(program, "transfer", f"guest:{there}/large", f"{here}/large")
    background.append(shown)
    shown.wait_for(b"% of 42.9 GB, ")
    shown.wait_for(b"B/s, ")
    shown.wait_for(b" left")
    assert b"Transferring: " in shown.shown
    shown.type(b"\x03")
    shown.wait_for(b"\x1b[2K\x1b[0A\x1b[0E")
    assert shown.process.wait(PATIENCE) == 130


def test_sources_may_be_of_several_instances(
    program: Program, service: Service, server: sshd.Sshd, here: Path, there: Path
) -> None:
    names = ("guest", "other")
    service.answers |= {
        "ssh_info": replying(SSHInfoReply(ssh_info=dict.fromkeys(names, server.info))),
        "host_keys": replying(HostKeysReply(host_keys=dict.fromkeys(names, server.host_key))),
    }
    for name in ("a", "b", "c"):
        (there / name).write_text(name)
    copied(program, f"guest:{there}/a", f"other:{there}/b", f"guest:{there}/c", here)
    assert sorted(os.listdir(here)) == ["a", "b", "c"]
    assert len(service.requests["ssh_info"]) == 2
