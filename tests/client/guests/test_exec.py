"""`exec` through OpenSSH's client and a real SSH server."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

import grpc
import pytest

from client.commands.exec import command_text, map_directory
from protocol.messages.guests import HostKeysReply, HostKeysRequest
from protocol.messages.information import DetailedInfoItem, InfoReply, InfoRequest
from protocol.messages.mounts import MountInfo
from tests.client.guests import sshd
from tests.client.guests.sshd import Sshd, keeping, reached_by
from tests.client.program import PROGRAM, Program, Result
from tests.client.service import Answer, Service, failing, replying
from tests.waiting import PATIENCE


def remote(program: Program, *words: str, input: bytes = b"") -> Result:
    return program.run("exec", "guest", "--", *words, input=input)


def test_every_word_arrives_as_it_is(program: Program) -> None:
    words = ["", "a b", "it's", '"', "$HOME", "*", "`id`", "\\", "a\nb", "-v", "--", "é", ";", "~"]
    result = remote(program, "printf", r"<%s>\n", *words)
    assert (result.code, result.err) == (0, "")
    assert result.out == "".join(f"<{word}>\n" for word in words)


@pytest.mark.parametrize("status", [0, 1, 4, 5, 254, 255])
def test_the_remote_exit_status_is_returned(program: Program, status: int) -> None:
    result = remote(program, "sh", "-c", f"exit {status}")
    assert (result.code, result.out, result.err) == (status, "", "")


def test_a_command_killed_by_a_signal_is_no_failure_of_the_connection(program: Program) -> None:
    result = remote(program, "sh", "-c", "kill -KILL $$")
    assert (result.code, result.err) == (255, "")


def test_whoever_ignores_the_end_of_its_children_learns_the_status_all_the_same(
    program: Program,
) -> None:
    deaf = ["env", "--ignore-signal=CHLD", str(PROGRAM), "exec", "guest", "--"]
    deaf += ["sh", "-c", "exit 4"]
    done = subprocess.run(deaf, env=program.environ, cwd="/", timeout=60, check=False)
    assert done.returncode == 4


def test_an_ssh_that_ends_at_once_is_noticed(program: Program, tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "ssh").chmod(0o755)
    program.environ["PATH"] = f"{tmp_path}:{program.environ['PATH']}"
    assert [remote(program, "true").code for _ in range(5)] == [7] * 5


def test_input_output_and_errors_are_passed_through_apart(program: Program) -> None:
    data = bytes(range(256)) * 4096
    done = subprocess.run(
        [PROGRAM, "exec", "guest", "--", "sh", "-c", "cat; echo wrong >&2; tty"],
        input=data, capture_output=True, env=program.environ, cwd="/", timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == data + b"not a tty\n"
    assert (done.returncode, done.stderr) == (1, b"wrong\n")


def test_another_host_key_is_refused_without_a_question(
    program: Program, service: Service, tmp_path: Path
) -> None:
    service.answers["host_keys"] = keeping(sshd.make_key(tmp_path / "other")[1])
    result = remote(program, "touch", str(tmp_path / "ran"), input=b"yes\n")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(
        "exec failed: host key verification failed for the instance's address\n"
    )
    assert not (tmp_path / "ran").exists()


def test_the_host_key_is_asked_for_by_name(program: Program, service: Service) -> None:
    assert remote(program, "true").code == 0
    request = HostKeysRequest.decode(service.requests["host_keys"][0])
    assert request.instance_name == ["guest"]


def test_a_service_that_knows_no_host_keys_is_done_without(
    program: Program, service: Service
) -> None:
    del service.answers["host_keys"]  # as in 1.16
    result = remote(program, "echo", "here")
    assert (result.code, result.out, result.err) == (0, "here\n", "")
    result = program.run("exec", "-v", "guest", "--", "echo", "here")
    assert (result.code, result.out) == (0, "here\n")
    assert re.fullmatch(r"\[.*\] \[warning\] \[ssh\] .* is not verified\n", result.err)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (failing(grpc.StatusCode.INTERNAL, "broken"), "exec failed: broken\n"),
        (replying(HostKeysReply()), "exec failed: the service has no host key of 'guest'"),
        (keeping(""), "exec failed: the service has no host key of 'guest'"),
    ],
)
def test_without_its_host_key_an_instance_is_not_reached(
    program: Program, service: Service, answer: Answer, sentence: str
) -> None:
    service.answers["host_keys"] = answer
    result = remote(program, "true")
    assert result.code == 2
    assert result.err.startswith(sentence)


def test_what_ssh_itself_fails_with_is_2_and_a_sentence(
    program: Program, service: Service, server: Sshd, tmp_path: Path
) -> None:
    nobody = server.info
    nobody.port = 1
    service.answers["ssh_info"] = reached_by(nobody)
    result = remote(program, "true")
    assert (result.code, result.out) == (2, "")
    assert result.err == "exec failed: connect to host 127.0.0.1 port 1: Connection refused\n"
    stranger = server.info
    stranger.priv_key_base64 = sshd.make_key(tmp_path / "stranger")[0]
    service.answers["ssh_info"] = reached_by(stranger)
    result = remote(program, "true")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("exec failed: the instance did not accept the service's key\n")


def test_a_connection_that_breaks_is_told_from_a_status_of_255(program: Program) -> None:
    result = remote(program, "sh", "-c", "kill -KILL $PPID")
    assert result.code == 2
    assert "exec failed: the connection to the instance ended\n" in result.err


def test_without_ssh_the_package_is_named(program: Program, tmp_path: Path) -> None:
    program.environ["PATH"] = str(tmp_path)
    result = remote(program, "true")
    assert result.code == 2
    assert result.err.startswith("exec failed: the program ssh is missing\n")
    assert "openssh-client" in result.err


def test_a_key_in_base64_serves_too(program: Program, service: Service, server: Sshd) -> None:
    wrapped = server.info
    wrapped.priv_key_base64 = base64.b64encode(wrapped.priv_key_base64.encode()).decode()
    service.answers["ssh_info"] = reached_by(wrapped)
    assert remote(program, "true").code == 0


def test_the_user_s_own_ssh_configuration_does_not_count(program: Program) -> None:
    folder = program.home / ".ssh"
    folder.mkdir(parents=True)
    (folder / "config").write_text("Host *\n  Port 1\n  ProxyCommand false\n")
    assert remote(program, "true").code == 0
    assert [path.name for path in folder.iterdir()] == ["config"]  # nothing was added


# -- the working directory ------------------------------------------------------------------------


def mounts(*pairs: tuple[str, str]) -> MountInfo:
    paths = [MountInfo.MountPaths(source_path=src, target_path=dst) for src, dst in pairs]
    return MountInfo(mount_paths=paths)


def test_a_mounted_working_directory_is_the_remote_one(
    program: Program, service: Service, tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "tar get"
    for path in (source / "sub dir", target / "sub dir"):
        path.mkdir(parents=True)
    item = DetailedInfoItem(name="guest", mount_info=mounts((str(source), str(target))))
    service.answers["info"] = replying(InfoReply(details=[item]))

    def pwd(*options: str) -> str:
        done = subprocess.run(
            [PROGRAM, "exec", *options, "guest", "--", "pwd"],
            capture_output=True, env=program.environ, cwd=source / "sub dir", timeout=60,
            check=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    login = pwd("-n")
    assert "info" not in service.requests
    assert pwd() == str(target / "sub dir")
    assert InfoRequest.decode(service.requests["info"][0]).no_runtime_information
    assert pwd("-d", str(target)) == str(target)
    assert len(service.requests["info"]) == 1
    assert login == str(Path.home())


def test_the_innermost_mount_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    listed = mounts(
        (str(tmp_path), "Home"), (str(tmp_path / "a/b"), "/b"), (str(tmp_path / "a/bc"), "/no")
    ).mount_paths
    for directory, expected in (("a/b/c", "/b/c"), ("a/b", "/b"), ("a", "Home/a"), (".", "Home")):
        monkeypatch.chdir(tmp_path / directory)
        assert map_directory(listed) == expected
    monkeypatch.chdir("/")
    assert map_directory(listed) == ""


@pytest.mark.parametrize(
    ("words", "directory", "text"),
    [
        (["ls", "-l"], "", "ls -l"),
        (["ls", "a b"], "/x y", "cd '/x y'&&ls 'a b'"),
        (["sudo", "ls"], "", "sudo ls"),
        (["sudo", "ls"], "/x", "sudo sh -c 'cd /x && sudo -u ubuntu sudo ls'"),
        ([""], "", "''"),
    ],
)
def test_what_the_remote_shell_is_given(words: list[str], directory: str, text: str) -> None:
    assert command_text(words, directory, "ubuntu") == text


def test_a_missing_instance_is_told(program: Program, service: Service) -> None:
    missing = failing(grpc.StatusCode.NOT_FOUND, 'instance "guest" does not exist')
    service.answers["info"] = service.answers["ssh_info"] = missing
    result = remote(program, "true")
    assert (result.code, result.err) == (2, 'exec failed: instance "guest" does not exist\n')


def test_a_command_that_writes_on_ends_when_its_reader_has_enough(program: Program) -> None:
    with subprocess.Popen(
        [PROGRAM, "exec", "guest", "--", "yes"], env=program.environ, cwd="/",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as client:  # fmt: skip
        assert client.stdout is not None
        assert client.stdout.readline() == b"y\n"
        client.stdout.close()
        assert client.wait(PATIENCE) != 0
