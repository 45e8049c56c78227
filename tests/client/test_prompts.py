"""Prompts through a real pseudo-terminal."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.messages.access import AuthenticateReply, AuthenticateRequest, SetReply, SetRequest
from tests.client.program import PROGRAM, Program
from tests.client.service import Service, replying, wants
from tests.client.terminal import Terminal

ENTER, AGAIN = "Please enter passphrase: ", "Please re-enter passphrase: "


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    import grpc

    served = Service(
        f"unix:{tmp_path}/socket",
        tmp_path,
        set=replying(SetReply()),
        authenticate=wants("sécret =", grpc.StatusCode.INVALID_ARGUMENT),
        wait_ready=replying(AuthenticateReply()),
    )
    yield served
    served.close()


@pytest.fixture
def program(service: Service, tmp_path: Path) -> Program:
    return Program(tmp_path / "home", f"unix:{tmp_path}/socket", service.root_certificate)


def test_the_passphrase_is_asked_for_without_echo(
    program: Program, service: Service, terminals: list[Terminal]
) -> None:
    terminal = Terminal(program, "authenticate")
    terminals.append(terminal)
    terminal.answer(ENTER, "sécret =\n".encode())
    assert terminal.finish() == (0, "")
    assert terminal.shown == f"{ENTER}\r\n"
    assert terminal.echoes()  # as it was
    last = AuthenticateRequest.decode(service.requests["authenticate"][-1])
    assert last.passphrase == "sécret ="


def test_a_new_passphrase_is_asked_for_twice(
    program: Program, service: Service, terminals: list[Terminal]
) -> None:
    terminal = Terminal(program, "set", "local.passphrase")
    terminals.append(terminal)
    terminal.answer(ENTER, b"one two\n")
    terminal.answer(AGAIN, b"one two\n")
    assert terminal.finish() == (0, "")
    assert "one two" not in terminal.shown
    assert SetRequest.decode(service.requests["set"][0]).val == "one two"


def test_passphrases_that_differ_are_told(
    program: Program, service: Service, terminals: list[Terminal]
) -> None:
    terminal = Terminal(program, "set", "local.passphrase")
    terminals.append(terminal)
    terminal.answer(ENTER, b"one\n")
    terminal.answer(AGAIN, b"two\n")
    assert terminal.finish() == (1, "Passphrases do not match\n")
    assert "set" not in service.requests


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [(b"\n", "No passphrase given\n"), (b"\x04", "Failed to read value\n")],
)
def test_an_empty_answer_and_the_end_of_input_are_told(
    program: Program, terminals: list[Terminal], typed: bytes, sentence: str
) -> None:
    terminal = Terminal(program, "authenticate")
    terminals.append(terminal)
    terminal.answer(ENTER, typed)
    assert terminal.finish() == (1, sentence)
    assert terminal.echoes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_at_the_question_leaves_the_echo_on_and_is_what_ends_it(
    program: Program, terminals: list[Terminal], number: signal.Signals
) -> None:
    terminal = Terminal(program, "authenticate")
    terminals.append(terminal)
    terminal.answer(ENTER, b"sec")
    os.kill(terminal.process.pid, number)
    assert terminal.finish() == (-number, "")
    assert terminal.echoes()
    assert terminal.shown.strip() == ENTER.strip()


def test_an_ignored_signal_stays_ignored_at_the_question(
    program: Program, terminals: list[Terminal]
) -> None:
    deaf = ("env", "--ignore-signal=HUP", PROGRAM)
    terminal = Terminal(program, "authenticate", command=deaf)
    terminals.append(terminal)
    terminal.answer(ENTER, b"s\xc3\xa9cret")
    os.kill(terminal.process.pid, signal.SIGHUP)
    terminal.answer("", b" =\n")
    assert terminal.finish()[0] == 0


def test_stopped_at_the_question_the_echo_is_on_and_off_again_when_it_goes_on(
    program: Program, service: Service, terminals: list[Terminal]
) -> None:
    bash = ("env", "PS1=ready> ", "bash", "--norc", "--noprofile", "--noediting", "-i")
    shell = Terminal(program, command=bash, controls=True)
    terminals.append(shell)
    shell.reply("ready> ", f"{shlex.quote(str(PROGRAM))} authenticate\n".encode())
    for _ in range(2):
        shell.answer(ENTER, b"half an ans\x1a")
        shell.reply("Stopped", b"")
        shell.reply("ready> ", b"")
        assert shell.echoes()
        shell.reply("", b"fg\n")
    shell.answer(ENTER, "sécret =\n".encode())
    shell.reply("ready> ", b"exit\n")
    assert shell.finish()[0] == 0
    assert "half an ans" not in shell.shown and "cret" not in shell.shown
    last = AuthenticateRequest.decode(service.requests["authenticate"][-1])
    assert last.passphrase == "sécret ="


def test_the_end_of_input_at_the_second_question_is_told(
    program: Program, terminals: list[Terminal]
) -> None:
    terminal = Terminal(program, "set", "local.passphrase")
    terminals.append(terminal)
    terminal.answer(ENTER, b"one\n")
    terminal.answer(AGAIN, b"\x04")
    assert terminal.finish() == (1, "Failed to read value\n")


def test_the_spinner_shows_on_a_terminal_and_leaves_nothing(
    program: Program, terminals: list[Terminal]
) -> None:
    terminal = Terminal(program, "wait-ready")
    terminals.append(terminal)
    assert terminal.finish() == (0, "")
    assert "Waiting for the Multipass daemon to be ready  " in terminal.shown
    assert terminal.shown.endswith("\b \x1b[2K\x1b[0A\x1b[0E")
