"""`shell`, and what it and `exec` do for an instance that does not run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
import pytest

from protocol.messages.access import GetReply
from protocol.messages.launch import LaunchReply, LaunchRequest
from protocol.messages.lifecycle import SSHInfo, SSHInfoReply, StartReply, StartRequest
from tests.client.guests.background import Background, OnTerminal
from tests.client.guests.sshd import Sshd
from tests.client.program import Program
from tests.client.service import Answer, Service, failing, replying
from tests.waiting import PATIENCE, until


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
    service.answers["get"] = replying(GetReply(value="false"))
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
        until(lambda: not context.is_active())
        return iter(())

    service.answers["ssh_info"] = silent
    result = program.run("shell", "guest", "--timeout", "1")
    assert result.code == 5
    assert result.err.startswith("Timed out waiting for instance to start.\n")


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
