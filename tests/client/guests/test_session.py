"""A session while it lasts: its secrets, signals and terminals."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.client.guests.background import Background, OnTerminal
from tests.client.guests.sshd import Sshd
from tests.client.program import PROGRAM, Program
from tests.client.terminal import Terminal
from tests.waiting import PATIENCE, until

# Ends with its session, as its input ends then; a remote command that reads none would go on.
LASTING = ("sh", "-c", "echo up; exec cat")


def test_the_key_is_in_no_argument_and_no_file_and_nothing_is_left(
    program: Program, server: Sshd, background: list[Background], tmp_path: Path
) -> None:
    client = Background(program, "exec", "guest", "--", *LASTING, stdin=subprocess.PIPE)
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
    for path in client.session():  # ssh, whose end was not requested
        os.kill(int(path.name), signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_session(
    program: Program, background: list[Background], number: signal.Signals
) -> None:
    client = Background(program, "exec", "guest", "--", *LASTING, stdin=subprocess.PIPE)
    background.append(client)
    assert client.process.stdout is not None
    assert client.process.stdout.readline() == b"up\n"
    client.process.send_signal(number)
    assert client.process.wait(PATIENCE) == 128 + number
    until(lambda: not client.session())


def test_a_terminal_is_passed_through(program: Program, background: list[Background]) -> None:
    program.environ["TERM"] = "vt220"
    # No trap: a signal in the instant before `read` blocks would be heeded after it.
    resized = "until stty size | grep '44 88'; do sleep 0.05; done"
    script = f"tty; stty size; echo $TERM; echo rea''dy; {resized}; read x; exit 7"
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


def test_a_terminal_that_is_closed_ends_the_session(
    program: Program, background: list[Background]
) -> None:
    client = OnTerminal(program, "exec", "guest", "--", "sh", "-c", "echo u''p; exec sleep 60")
    background.append(client)
    client.wait_for(b"up")
    client.hang_up()
    assert client.process.wait(PATIENCE) == 128 + signal.SIGHUP
    until(lambda: not client.session())


def test_a_session_without_a_terminal_of_its_own_is_stopped_and_goes_on(
    program: Program, terminals: list[Terminal], tmp_path: Path
) -> None:
    bash = ("env", "PS1=ready> ", "bash", "--norc", "--noprofile", "--noediting", "-i")
    shell = Terminal(program, command=bash, controls=True)
    terminals.append(shell)
    go_on, out = tmp_path / "go_on", tmp_path / "out"
    script = f"echo up; until [ -e {go_on} ]; do sleep 0.05; done; exit 9"
    typed = shlex.join([str(PROGRAM), "exec", "guest", "--", "sh", "-c", script])
    shell.reply("ready> ", f"{typed} > {out}\n".encode())
    until(lambda: out.exists() and out.read_text() == "up\n")
    shell.reply("", b"\x1a")
    shell.reply("Stopped", b"")
    go_on.touch()
    shell.reply("ready> ", b"fg; echo status $?\n")
    shell.reply("status 9", b"")
    shell.reply("ready> ", b"exit\n")
    assert shell.finish()[0] == 0
