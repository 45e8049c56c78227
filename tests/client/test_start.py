"""What a command loads: each module costs every start, so commands load what they use."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from client.commands.summaries import SUMMARIES
from protocol import client_certificate
from tests.client.program import PROGRAM, Program

INTERPRETER = ["/usr/bin/python3", "-I", "-S", "-X", "importtime"]
LIBRARIES = {"os", "_ssl", "ssl", "socket", "enum", "re", "cryptography", "site"}


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A client that has a certificate, and whose service is not there."""
    client_certificate.ensure(tmp_path / "home/data/multipass-client-certificate")
    return Program(tmp_path / "home", f"unix:{tmp_path}/socket", tmp_path / "root.pem")


def loaded(program: Program, *words: str) -> set[str]:
    done = subprocess.run(
        [*INTERPRETER, PROGRAM, *words],
        env=program.environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {line.split("|")[-1].strip() for line in done.stderr.splitlines()}


def commands_of(modules: set[str]) -> set[str]:
    places = {name.removeprefix("client.commands.") for name in modules}
    return {name for name in SUMMARIES if name.replace("-", "_") in places}


@pytest.mark.parametrize(
    ("words", "command"),
    [(["help"], "help"), (["help", "find"], "find"), (["find", "--help"], "find")],
)
def test_help_loads_neither_the_service_s_calls_nor_other_commands(
    program: Program, words: list[str], command: str
) -> None:
    modules = loaded(program, *words)
    assert not modules & LIBRARIES
    assert not {name for name in modules if name.startswith("client.transport")}
    assert not {name for name in modules if name.startswith("protocol.messages")}
    assert commands_of(modules) <= {command, "help"}


def test_general_help_loads_no_command_but_itself(program: Program) -> None:
    assert commands_of(loaded(program, "--help")) == set()


def test_version_without_a_service_loads_no_tls(program: Program) -> None:
    modules = loaded(program, "version")
    assert not modules & LIBRARIES
    assert "client.transport.dial" in modules
    assert not modules & {"client.transport.tls", "client.transport.exchange"}
