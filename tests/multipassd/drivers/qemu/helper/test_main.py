"""Requests that the service that makes units refuses."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[5] / "bin" / "multipass-machines"


def ask(line: str, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """As systemd starts it: a socket is its stdin."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", str(PROGRAM)]
    with ours, theirs, subprocess.Popen(command, stdin=theirs.fileno(), env=environ) as process:
        theirs.close()
        ours.sendall(line.encode())
        ours.shutdown(socket.SHUT_WR)
        with ours.makefile("rb") as answers:
            answer: dict[str, Any] = json.loads(answers.readline())
    assert process.returncode == 0
    return answer


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"do": "start", "name": "foo", "command": ["sh", "-c", "id"]}, "not qemu-system"),
        ({"do": "start", "name": "foo", "command": []}, "not qemu-system"),
        ({"do": "start", "name": "foo", "command": "qemu-system-x86_64"}, "no list of words"),
        ({"do": "start", "name": "../data", "command": ["qemu-system-x86_64"]}, "no instance"),
        ({"do": "clear", "name": "*"}, "no instance"),
        ({"do": "clear", "name": "a.service --now"}, "no instance"),
        ({"do": "start", "name": "a" * 5000, "command": ["qemu-system-x86_64"]}, "no instance"),
        ({"do": "start", "name": "a\n", "command": ["qemu-system-x86_64"]}, "no instance"),
        ({"do": "start", "name": "a%n", "command": ["qemu-system-x86_64"]}, "no instance"),
        ({"do": ["clear"], "name": "a"}, "not understood"),
        ({"do": "clear"}, "not understood"),
        ({"do": "reboot", "name": "foo"}, "not understood"),
        ([], "not understood"),
    ],
)
def test_only_instances_of_qemu_are_touched(request_: object, why: str) -> None:
    answer = ask(json.dumps(request_) + "\n")
    assert answer["code"] == 1
    assert why in answer["said"]


def test_a_request_that_goes_too_deep_is_answered() -> None:
    assert "not understood" in ask("[" * 100_000 + "\n")["said"]


def test_a_daemon_that_died_before_it_asked_does_no_harm() -> None:
    assert ask("")["code"] == 1
    assert ask('{"do": "clear"')["code"] == 1
