"""`exec` and `shell` through OpenSSH's client and a real SSH server."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from client.commands.exec import command_text, map_directory
from protocol.messages.guests import HostKeysReply, HostKeysRequest
from protocol.messages.information import DetailedInfoItem, InfoReply, InfoRequest
from protocol.messages.launch import LaunchReply, LaunchRequest
from protocol.messages.lifecycle import SSHInfo, SSHInfoReply, StartReply, StartRequest
from protocol.messages.mounts import MountInfo
from tests.client import sshd
from tests.client.program import PROGRAM, Program, Result
from tests.client.service import Service, failing, replying
from tests.client.sshd import Sshd

pytestmark = pytest.mark.skipif(bool(sshd.missing()), reason=sshd.missing())

PATIENCE = 30.0  # seconds for anything to happen
Answer = Callable[[Any, Any], Iterable[bytes]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    started = Sshd(tmp_path_factory.mktemp("sshd"))
    yield started
    started.close()


def reached_by(info: SSHInfo) -> Answer:
    return replying(SSHInfoReply(ssh_info={"guest": info}))


def keeping(key: str) -> Answer:
    return replying(HostKeysReply(host_keys={"guest": key}))


@pytest.fixture
def service(server: Sshd, tmp_path: Path) -> Iterator[Service]:
    """A service whose instance `guest` is the SSH server."""
    started = Service(
        f"unix:{tmp_path}/socket",
        tmp_path,
        info=replying(InfoReply(details=[DetailedInfoItem(name="guest")])),
        ssh_info=reached_by(server.info),
        host_keys=keeping(server.host_key),
    )
    yield started
    started.close()


@pytest.fixture
def program(service: Service, tmp_path: Path) -> Program:
    made = Program(tmp_path / "home", f"unix:{tmp_path}/socket", service.root_certificate)
    for name in ("run", "tmp"):
        (tmp_path / name).mkdir(mode=0o700)
    made.environ |= {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "TMPDIR": str(tmp_path / "tmp")}
    return made


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
        "exec failed: whoever answers at the instance's address does not have its host key\n"
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
    assert re.fullmatch(r"\[.*\] \[warning\] \[ssh\] .* without checking .*\n", result.err)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (failing(grpc.StatusCode.INTERNAL, "broken"), "exec failed: broken\n"),
        (replying(HostKeysReply()), "exec failed: the service knows no host key of 'guest'"),
        (keeping(""), "exec failed: the service knows no host key of 'guest'"),
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
    import base64

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


# -- a stopped instance ---------------------------------------------------------------------------


def stopped_until_started(service: Service, info: SSHInfo) -> Answer:
    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        if "start" not in service.requests and "launch" not in service.requests:
            context.abort(grpc.StatusCode.ABORTED, 'instance "guest" is not running')
        return iter([SSHInfoReply(ssh_info={"guest": info}).encode()])

    return answer


@pytest.mark.parametrize("words", [["exec", "guest", "echo", "up"], ["shell", "guest"]])
def test_a_stopped_instance_is_started_first(
    program: Program, service: Service, server: Sshd, words: list[str]
) -> None:
    service.answers["ssh_info"] = stopped_until_started(service, server.info)
    service.answers["start"] = replying(StartReply())
    result = program.run(*words, input=b"echo up\n")
    assert (result.code, result.err) == (0, "")
    assert "up\n" in result.out
    started = StartRequest.decode(service.requests["start"][0])
    assert started.instance_names is not None
    assert started.instance_names.instance_name == ["guest"]


@pytest.mark.parametrize("words", [["exec", "guest", "true"], ["shell", "guest"]])
def test_a_start_that_fails_speaks_under_its_own_name(
    program: Program, service: Service, server: Sshd, words: list[str]
) -> None:
    service.answers["ssh_info"] = stopped_until_started(service, server.info)
    service.answers["start"] = failing(grpc.StatusCode.FAILED_PRECONDITION, "no memory")
    result = program.run(*words)
    assert (result.code, result.out, result.err) == (2, "", "start failed: no memory\n")


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


# -- what is left, signals, terminals -------------------------------------------------------------


class Background:
    """A client that runs until it is told to end; its children are those of its session."""

    def __init__(self, program: Program, *words: str, **options: Any) -> None:
        self.process: Any = subprocess.Popen(
            [PROGRAM, *words], env=program.environ, cwd="/", start_new_session=True,
            **({"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | options),
        )  # fmt: skip

    def session(self) -> list[Path]:
        """The processes of its session, by their directories in /proc."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                fields = (path / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(path)
        return found

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def background() -> Iterator[list[Background]]:
    begun: list[Background] = []
    yield begun
    for one in begun:
        one.close()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_key_is_in_no_argument_and_no_file_and_nothing_is_left(
    program: Program, server: Sshd, background: list[Background], tmp_path: Path
) -> None:
    client = Background(program, "exec", "guest", "--", "sh", "-c", "echo up; exec sleep 60")
    background.append(client)
    assert client.process.stdout is not None
    assert client.process.stdout.readline() == b"up\n"
    secret = server.private_key.splitlines()[1]
    seen = client.session()
    assert len(seen) == 2  # the client and ssh
    for path in seen:
        for name in ("cmdline", "environ"):
            assert secret not in (path / name).read_bytes().decode(errors="replace")
    assert list((tmp_path / "run").iterdir()) == list((tmp_path / "tmp").iterdir()) == []
    client.process.kill()
    client.process.wait()
    assert list((tmp_path / "run").iterdir()) == list((tmp_path / "tmp").iterdir()) == []
    for path in client.session():  # ssh, which nobody asked to end
        os.kill(int(path.name), signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_session(
    program: Program, background: list[Background], number: signal.Signals
) -> None:
    client = Background(program, "exec", "guest", "--", "sh", "-c", "echo up; exec sleep 60")
    background.append(client)
    assert client.process.stdout is not None
    assert client.process.stdout.readline() == b"up\n"
    client.process.send_signal(number)
    assert client.process.wait(PATIENCE) == 128 + number
    wait_until(lambda: not client.session())


class OnTerminal(Background):
    """On a terminal that is its own, of 33 lines and 77 columns."""

    def __init__(self, program: Program, *words: str) -> None:
        self.master, slave = pty.openpty()
        self.resize(33, 77)
        super().__init__(
            program, *words, stdin=slave, stdout=slave, stderr=slave,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.shown = b""

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def wait_for(self, text: bytes) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            try:
                self.shown += os.read(self.master, 4096)
            except OSError:  # the other side is closed
                assert text in self.shown, self.shown

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def close(self) -> None:
        super().close()
        os.close(self.master)


def test_a_terminal_is_passed_through(program: Program, background: list[Background]) -> None:
    program.environ["TERM"] = "vt220"
    script = "tty; stty size; echo $TERM; trap 'stty size' WINCH; echo rea''dy; read x; exit 7"
    client = OnTerminal(program, "exec", "guest", "--", "sh", "-c", script)
    background.append(client)
    client.wait_for(b"ready")
    assert b"/dev/pts/" in client.shown
    assert b"33 77\r\nvt220\r\n" in client.shown
    client.resize(44, 88)
    client.wait_for(b"44 88")
    client.type(b"~.\r")  # no escape of ssh's
    assert client.process.wait(PATIENCE) == 7


def test_an_interrupt_on_the_terminal_goes_to_the_remote_command(
    program: Program, background: list[Background]
) -> None:
    script = "trap 'echo inter''rupted; exit 9' INT; echo rea''dy; while :; do sleep 0.05; done"
    client = OnTerminal(program, "exec", "guest", "--", "sh", "-c", script)
    background.append(client)
    client.wait_for(b"ready")
    client.type(b"\x03")
    client.wait_for(b"interrupted")
    assert client.process.wait(PATIENCE) == 9


# -- shell ----------------------------------------------------------------------------------------


def test_a_shell_takes_its_commands_from_a_pipe_and_ends_with_0(program: Program) -> None:
    result = program.run("sh", "guest", input=b"echo one\nexit 3\n")
    assert result.code == 0
    assert result.out.endswith("one\n")


def test_a_shell_on_a_terminal(program: Program, background: list[Background]) -> None:
    client = OnTerminal(program, "connect", "guest")
    background.append(client)
    client.type(b"echo he''re; exit 3\r")
    client.wait_for(b"here")
    assert client.process.wait(PATIENCE) == 0


def test_a_missing_primary_is_launched(program: Program, service: Service, server: Sshd) -> None:
    program.run("set", "client.primary-name=guest")

    def missing(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        if "launch" not in service.requests:
            context.abort(grpc.StatusCode.NOT_FOUND, 'instance "guest" does not exist')
        return iter([SSHInfoReply(ssh_info={"guest": server.info}).encode()])

    service.answers["ssh_info"] = missing
    service.answers["launch"] = replying(LaunchReply(vm_instance_name="guest"))
    result = program.run("shell", "--timeout", "50", input=b"echo in\n")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Launched: guest\nSkipping mount due to disabled mounts feature\n")
    assert result.out.endswith("in\n")
    request = LaunchRequest.decode(service.requests["launch"][0])
    assert (request.instance_name, request.timeout) == ("guest", 50)


def test_another_missing_instance_is_not_launched(program: Program, service: Service) -> None:
    missing = failing(grpc.StatusCode.NOT_FOUND, 'instance "other" does not exist')
    service.answers["ssh_info"] = missing
    result = program.run("shell", "other")
    assert (result.code, result.err) == (2, 'shell failed: instance "other" does not exist\n')


def test_a_shell_that_takes_too_long_ends_with_5(program: Program, service: Service) -> None:
    def silent(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        wait_until(lambda: not context.is_active())
        return iter(())

    service.answers["ssh_info"] = silent
    result = program.run("shell", "guest", "--timeout", "1")
    assert result.code == 5
    assert result.err.startswith("Timed out waiting for instance to start.\n")


def test_a_command_that_writes_on_ends_when_its_reader_has_enough(program: Program) -> None:
    with subprocess.Popen(
        [PROGRAM, "exec", "guest", "--", "yes"], env=program.environ, cwd="/",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as client:  # fmt: skip
        assert client.stdout is not None
        assert client.stdout.readline() == b"y\n"
        client.stdout.close()
        assert client.wait(PATIENCE) != 0
