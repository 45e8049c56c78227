"""One SSH connection for several commands, to a real SSH server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from client.guests import idle
from client.session import Session
from tests.client.guests.background import Background, OnTerminal
from tests.client.guests.sshd import Sshd
from tests.client.guests.test_certificates import Authority
from tests.client.program import PROGRAM, Program, Result
from tests.client.service import Service
from tests.waiting import PATIENCE, until

ENDLESS = "while :; do echo y; done; echo never"
LASTING = ("sh", "-c", "echo up; exec cat")  # ends with its session


class Reuse:
    """The connections of one user, and the log-ins that they took."""

    def __init__(self, program: Program, authority: Authority, server: Sshd) -> None:
        self.runtime = Path(tempfile.mkdtemp(prefix="mpr-", dir="/tmp"))  # its path is short
        self.directory = self.runtime / "multipass-ssh"
        self.program = program
        self.authority = authority
        self._server = server
        self._before = self._accepted()
        authority.run = "a1"
        program.environ["XDG_RUNTIME_DIR"] = str(self.runtime)

    def exec(self, *words: str, input: bytes = b"") -> Result:
        return self.program.run("exec", "guest", "--", *words, input=input)

    def warm(self) -> None:
        """One connection waits."""
        assert self.exec("true").code == 0
        self.wait_for_idle()

    def wait_for_idle(self) -> None:
        until(lambda: len(self.idle()) == 1, "a connection that waits")

    def idle(self) -> list[Path]:
        return list(self.directory.glob("*.*.*"))

    def log_ins(self) -> int:
        return self._accepted() - self._before

    def holders(self) -> list[int]:
        """The processes that hold a connection of this directory, by the parents of ssh."""
        return [parent for _, parent in self._masters()]

    def masters(self) -> list[int]:
        return [pid for pid, _ in self._masters()]

    def is_over(self) -> bool:
        """No process and no socket is left."""
        return not self._masters() and not list(self.directory.glob("*"))

    def end(self) -> None:
        for pid in self.masters():
            os.kill(pid, signal.SIGTERM)
        until(self.is_over, "the end")
        shutil.rmtree(self.runtime)

    def _masters(self) -> list[tuple[int, int]]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes()
                fields = (path / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            if str(self.directory).encode() in words and b"\0-M\0" in words:
                found.append((int(path.name), int(fields[1])))
        return found

    def _accepted(self) -> int:
        return self._server.log().count("Accepted publickey")


@pytest.fixture
def reuse(program: Program, service: Service, server: Sshd, tmp_path: Path) -> Iterator[Reuse]:
    authority = Authority(tmp_path, server)
    server.authorise(authority.authority.line(authority.guest))
    service.answers["certify"] = authority.answer
    made = Reuse(program, authority, server)
    yield made
    made.end()
    server.authorise(server.public_key)


def test_one_log_in_serves_command_after_command_and_each_asks_the_service(reuse: Reuse) -> None:
    reuse.warm()
    assert reuse.exec("echo", "again").out == "again\n"
    reuse.wait_for_idle()
    assert reuse.program.run("shell", "guest", input=b"echo in the shell\n").code == 0
    reuse.wait_for_idle()
    assert reuse.log_ins() == 1
    assert [each.connection for each in reuse.authority.requests] == ["", "a1", "a1"]


def test_transfers_share_it_too(reuse: Reuse, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    for number in range(2):
        copy = f"guest:{tmp_path}/copy{number}"
        result = reuse.program.run("transfer", str(tmp_path / "file"), copy)
        assert (result.code, result.err) == (0, "")
        reuse.wait_for_idle()
    assert reuse.exec("cat", f"{tmp_path}/copy1").out == "content"
    assert reuse.log_ins() == 1


@pytest.mark.parametrize("status", [0, 4, 255])
def test_a_status_on_it_is_the_commands(reuse: Reuse, status: int) -> None:
    for _ in range(2):
        assert reuse.exec("sh", "-c", f"exit {status}").code == status
        reuse.wait_for_idle()
    assert reuse.exec("sh", "-c", "kill -KILL $$").code == 255
    assert reuse.log_ins() == 1


def test_input_output_and_errors_are_passed_through_apart_on_it(reuse: Reuse) -> None:
    data = bytes(range(256)) * 4096
    for _ in range(2):
        done = subprocess.run(
            [PROGRAM, "exec", "guest", "--", "sh", "-c", "cat; echo wrong >&2; tty"],
            input=data, capture_output=True, env=reuse.program.environ, cwd="/", timeout=60,
            check=False,
        )  # fmt: skip
        assert done.stdout == data + b"not a tty\n"
        assert (done.returncode, done.stderr) == (1, b"wrong\n")
        reuse.wait_for_idle()
    assert reuse.log_ins() == 1


def test_a_terminal_on_it_is_passed_through(reuse: Reuse, background: list[Background]) -> None:
    reuse.warm()
    resized = "until stty size | grep '44 88'; do sleep 0.05; done"
    script = f"tty; stty size; echo rea''dy; {resized}; read x; exit 7"
    client = OnTerminal(reuse.program, "exec", "guest", "--", "sh", "-c", script)
    background.append(client)
    client.wait_for(b"ready")
    assert b"33 77\r\n" in client.shown
    client.resize(44, 88)
    client.wait_for(b"44 88")
    client.type(b"~.\r")
    assert client.process.wait(PATIENCE) == 7
    assert reuse.log_ins() == 1


def test_what_waits_holds_no_descriptor_directory_or_session_of_the_command(
    reuse: Reuse, tmp_path: Path
) -> None:
    ours, theirs = os.pipe()
    before = {str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
    done = subprocess.run(
        [PROGRAM, "exec", "guest", "--", "true", "and-a-secret"],
        stdin=subprocess.DEVNULL, capture_output=True, pass_fds=[theirs], cwd=tmp_path,
        env=reuse.program.environ, timeout=60, check=True,
    )  # fmt: skip
    os.close(theirs)
    assert (done.stdout, os.read(ours, 1)) == (b"", b""), "both pipes have ended"
    os.close(ours)
    reuse.wait_for_idle()
    (holder,) = reuse.holders()
    own = {str(each.readlink()) for each in Path(f"/proc/{holder}/fd").iterdir()}
    assert not {each for each in own if each.startswith("pipe:")} & before
    for pid in (*reuse.holders(), *reuse.masters()):
        process = Path("/proc") / str(pid)
        assert (process / "cwd").readlink() == Path("/")
        assert os.getsid(pid) == reuse.holders()[0]
        held = {str((process / "fd" / str(number)).readlink()) for number in range(3)}
        assert not [each for each in held - own if not each.startswith(("/dev/null", "socket:"))]
        assert b"and-a-secret" not in (process / "cmdline").read_bytes()
        assert b"PRIVATE KEY" not in (process / "environ").read_bytes()


def test_it_is_in_a_directory_that_no_one_else_can_enter(reuse: Reuse) -> None:
    reuse.warm()
    assert reuse.directory.stat().st_mode & 0o777 == 0o700


def test_after_seconds_without_use_nothing_is_left(reuse: Reuse) -> None:
    reuse.warm()
    until(reuse.is_over, "its end", seconds=2 * PATIENCE)


def test_another_run_of_the_instance_is_reached_by_a_log_in_of_its_own(reuse: Reuse) -> None:
    reuse.warm()
    (former,) = reuse.masters()
    reuse.authority.run = "b2"
    assert reuse.exec("echo", "new").out == "new\n"
    assert reuse.log_ins() == 2
    until(lambda: former not in reuse.masters(), "the end of the former connection")


def test_a_client_that_is_refused_has_no_connection_any_more(
    reuse: Reuse, service: Service, tmp_path: Path
) -> None:
    reuse.warm()

    def refusing(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "not any more")
        return iter(())

    service.answers["certify"] = refusing
    assert reuse.exec("touch", str(tmp_path / "ran")).code == 2
    assert not (tmp_path / "ran").exists()
    until(reuse.is_over, "its end")


def test_another_client_of_the_same_user_does_not_share_it(reuse: Reuse) -> None:
    reuse.warm()
    reuse.program.environ["XDG_DATA_HOME"] = str(reuse.program.home / "other")
    assert reuse.exec("true").code == 0
    assert [each.connection for each in reuse.authority.requests] == ["", ""]
    assert reuse.log_ins() == 2


def test_commands_at_once_have_a_connection_each_and_leave_one(reuse: Reuse) -> None:
    reuse.warm()
    command = [str(PROGRAM), "exec", "guest", "--", "sh", "-c", "cat; sleep 0.1"]
    running = [
        subprocess.Popen(
            command, env=reuse.program.environ, cwd="/", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(12)
    ]  # fmt: skip
    for number, each in enumerate(running):
        out, err = each.communicate(b"%d" % number, timeout=60)
        assert b"exec failed" not in err, err.decode()  # a profile of this host may say something
        assert (each.returncode, out) == (0, b"%d" % number)
    reuse.wait_for_idle()
    until(lambda: len(reuse.masters()) == 1, "the end of the others")
    assert reuse.log_ins() == 12


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_the_session_and_its_connection(
    reuse: Reuse, background: list[Background], number: signal.Signals
) -> None:
    reuse.warm()
    client = Background(reuse.program, "exec", "guest", "--", *LASTING, stdin=subprocess.PIPE)
    background.append(client)
    assert client.process.stdout is not None
    assert client.process.stdout.readline() == b"up\n"
    client.process.send_signal(number)
    killed = number == signal.SIGKILL
    assert client.process.wait(PATIENCE) == (-number if killed else 128 + number)
    until(lambda: not client.session(), "the end of its ssh")
    until(reuse.is_over, "the end of its connection")


def test_an_interrupt_while_it_is_made_ends_all_of_it(
    reuse: Reuse, background: list[Background]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reuse.authority.port = silent.getsockname()[1]
        client = Background(reuse.program, "exec", "guest", "--", "true")
        background.append(client)
        until(lambda: len(reuse.masters()) == 1 and len(client.session()) == 2, "both ssh")
        client.process.send_signal(signal.SIGINT)
        assert client.process.wait(PATIENCE) == 130
        until(lambda: not client.session() and reuse.is_over(), "the end of both")


@pytest.mark.parametrize("which", ["holder", "ssh"])
def test_a_connection_that_is_killed_ends_its_session_and_the_next_is_new(
    reuse: Reuse, background: list[Background], which: str
) -> None:
    reuse.warm()
    client = Background(
        reuse.program, "exec", "guest", "--", *LASTING,
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    background.append(client)
    assert client.process.stdout is not None
    assert client.process.stdout.readline() == b"up\n"
    (pid,) = reuse.holders() if which == "holder" else reuse.masters()
    os.kill(pid, signal.SIGKILL)
    assert client.process.wait(PATIENCE) == 2
    assert b"the connection to the instance ended\n" in client.process.stderr.read()
    until(lambda: not reuse.masters(), "the end of ssh")
    reuse.warm()
    assert reuse.log_ins() == 2


@pytest.mark.parametrize("which", ["holder", "ssh", "both"])
def test_one_that_was_killed_while_it_waited_does_not_hold_up_the_next(
    reuse: Reuse, which: str
) -> None:
    reuse.warm()
    for pid in {"holder": reuse.holders, "ssh": reuse.masters}.get(
        which, lambda: [*reuse.holders(), *reuse.masters()]
    )():
        os.kill(pid, signal.SIGKILL)
    assert reuse.exec("echo", "here").out == "here\n"
    reuse.wait_for_idle()
    assert len(reuse.masters()) == 1
    assert len(list(reuse.directory.iterdir())) == 2, "what was left is gone"


def test_a_guest_that_hangs_is_reached_by_another_connection_and_runs_nothing_twice(
    reuse: Reuse, tmp_path: Path
) -> None:
    daemon = int(reuse.exec("sh", "-c", "echo $PPID").out)
    reuse.wait_for_idle()
    os.kill(daemon, signal.SIGSTOP)
    try:
        script = f"echo ran >> {tmp_path}/ran; echo out; cat"
        result = reuse.exec("sh", "-c", script, input=b"once")
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert (result.code, result.out, result.err) == (0, "out\nonce", "")
    until(lambda: len(reuse.masters()) == 1, "the end of the one that hangs")
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_where_there_can_be_none_commands_run_as_before(reuse: Reuse) -> None:
    environ = reuse.program.environ
    environ["MULTIPASS_REUSE_SSH"] = "0"
    assert reuse.exec("echo", "switched off").out == "switched off\n"
    assert not reuse.directory.exists()
    del environ["MULTIPASS_REUSE_SSH"]
    reuse.runtime.chmod(0o777)  # others could replace what is in it, and TMPDIR's path is too long
    environ["TMPDIR"] = f"{reuse.program.home}/{'long/' * 20}"
    Path(environ["TMPDIR"]).mkdir(parents=True)
    assert reuse.exec("echo", "too open, too long").out == "too open, too long\n"
    assert not reuse.directory.exists()
    reuse.runtime.chmod(0o700)
    reuse.directory.mkdir(mode=0o755)
    environ["TMPDIR"] = "/nowhere"
    assert reuse.exec("echo", "open to others").out == "open to others\n"
    assert not list(reuse.directory.iterdir())


@pytest.mark.parametrize("how", ["unix_listener: cannot bind to path: No space", "disabling"])
def test_where_ssh_can_not_share_its_connection_commands_run_as_before(
    reuse: Reuse, tmp_path: Path, how: str
) -> None:
    said = {"disabling": "ControlSocket already exists, disabling multiplexing"}.get(how, how)
    end = "exec sleep 60" if how == "disabling" else "exit 255"
    script = (
        "#!/bin/sh\n"
        f'case " $* " in *" -M "*) echo "{said}" >> "$4"; {end};; esac\n'
        'exec /usr/bin/ssh "$@"\n'
    )
    (tmp_path / "ssh").write_text(script)
    (tmp_path / "ssh").chmod(0o755)
    reuse.program.environ["PATH"] = f"{tmp_path}:{reuse.program.environ['PATH']}"
    assert reuse.exec("cat", input=b"once").out == "once"
    assert reuse.log_ins() == 1


@pytest.mark.root
def test_none_waits_where_another_user_could_put_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert idle.directory() == f"{tmp_path}/multipass-ssh-0"
    os.chown(tmp_path, 12345, -1)
    assert idle.directory() == ""


def test_names_have_the_same_length_for_all_certificates(tmp_path: Path) -> None:
    certificate = tmp_path / "cert.pem"
    session = SimpleNamespace(address=lambda: "unix:/run/multipass_socket")
    found = set()
    for end in ("AAAA+/+/A0==", "AAAABBBBCCCC", "////++++////"):
        certificate.write_text(f"-----BEGIN CERTIFICATE-----\n{end}\n-----END CERTIFICATE-----\n")
        found.add(idle.whose(cast(Session, session), str(certificate), "guest"))
    assert len(found) == 3
    assert {len(each) for each in found} == {16}


@pytest.mark.parametrize("earlier", [False, True], ids=["first use", "later use"])
def test_a_command_whose_reader_has_gone_ends_as_by_a_broken_pipe(
    reuse: Reuse, earlier: bool
) -> None:
    if earlier:
        reuse.warm()
    command = [str(PROGRAM), "exec", "guest", "--", "sh", "-c", ENDLESS]
    with subprocess.Popen(
        command, env=reuse.program.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"y\n"
        running.stdout.close()
        assert running.wait(PATIENCE) == 128 + signal.SIGPIPE


def test_a_silent_command_goes_on_when_its_reader_has_gone(reuse: Reuse, tmp_path: Path) -> None:
    """As without sharing: only who writes learns of it."""
    done = tmp_path / "done"
    quiet = f"echo up; read line; sleep 1; touch {done}"
    command = [str(PROGRAM), "exec", "guest", "--", "sh", "-c", quiet]
    with subprocess.Popen(
        command, env=reuse.program.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdin is not None and running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        running.stdout.close()
        running.stdin.write(b"\n")
        running.stdin.close()
        assert running.wait(PATIENCE) == 0
    assert done.exists()


@pytest.mark.parametrize("earlier", [False, True], ids=["first use", "later use"])
def test_a_command_whose_output_finds_the_disk_full_ends(reuse: Reuse, earlier: bool) -> None:
    if earlier:
        reuse.warm()
    command = [str(PROGRAM), "exec", "guest", "--", "sh", "-c", ENDLESS]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command, env=reuse.program.environ, stdin=subprocess.DEVNULL, stdout=full,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert done.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("name", ["50%off", "%d", "${HOME}"])
def test_a_directory_whose_name_ssh_would_expand_is_not_used(
    reuse: Reuse, tmp_path: Path, name: str
) -> None:
    place = tmp_path / name
    place.mkdir(mode=0o700)
    reuse.program.environ["XDG_RUNTIME_DIR"] = str(place)
    assert reuse.exec("true").code == 0
    assert not list(place.iterdir())


def test_a_directory_is_usable_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        assert idle.make(str(tmp_path / "made"))
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700
