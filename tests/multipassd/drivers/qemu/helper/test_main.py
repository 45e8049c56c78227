"""What the service that makes units refuses, whatever the daemon asks for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[5] / "bin" / "multipass-machines"


def ask(line: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-I", PROGRAM], input=line, capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
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
