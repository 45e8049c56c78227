"""Time-outs, `start` and the launch of the primary, what to do when a stop is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
import pytest

from protocol.messages.access import GetReply
from protocol.messages.launch import LaunchReply, LaunchRequest
from protocol.messages.lifecycle import (
    StartError,
    StartReply,
)
from tests.client.service import SKIPPING, Answer, Connect, detailed, failing, never, replying


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [
        ("launch", "Timed out waiting for instance launch."),
        ("start", "Timed out waiting for instance to start."),
        ("restart", "Timed out waiting for instance to restart."),
    ],
)
def test_a_timeout_ends_with_5(connect: Connect, verb: str, sentence: str) -> None:
    program, _ = connect(**{verb: never})
    words = [verb, "--timeout", "1"] + ([] if verb == "launch" else ["a"])
    result = program.run(*words)
    assert (result.code, result.err.splitlines()[0]) == (5, sentence)
    assert "multipass list" in result.err.splitlines()[1]


Problem = StartError.ErrorCode


def missing(problems: dict[str, int]) -> Answer:
    return detailed(
        grpc.StatusCode.ABORTED, "instance(s) missing", StartError(instance_errors=problems)
    )


def test_instances_that_can_t_be_started_are_told(connect: Connect) -> None:
    problems = {
        "b": int(Problem.INSTANCE_DELETED),
        "a": int(Problem.DOES_NOT_EXIST),
        "c": int(Problem.OTHER),
        "primary": int(Problem.DOES_NOT_EXIST),
    }
    program, service = connect(start=missing(problems))
    result = program.run("start", "a", "b", "c", "primary")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "start failed: instance(s) missing\n"
        "Instance 'a' does not exist.\n"
        "Instance 'b' is deleted. "
        "Use 'recover' to recover it or 'purge' to permanently delete it.\n"
        "Instance 'c' failed in an unexpected way, check logs for more information.\n\n"
    )
    assert "launch" not in service.requests


def test_a_missing_primary_is_launched_and_the_start_retried(connect: Connect) -> None:
    program, service = connect(
        launch=replying(LaunchReply(vm_instance_name="primary")),
        get=replying(GetReply(value="false")),
    )

    def start(requests: Any, context: Any) -> Iterable[bytes]:
        if "launch" in service.requests:
            return replying(StartReply())(requests, context)
        return missing({"primary": int(Problem.DOES_NOT_EXIST)})(requests, context)

    service.answers["start"] = start
    result = program.run("start", "--timeout", "50")
    assert (result.code, result.out, result.err) == (0, f"Launched: primary\n{SKIPPING}", "")
    assert len(service.requests["start"]) == 2
    request = LaunchRequest.decode(service.requests["launch"][0])
    assert (request.instance_name, request.timeout) == ("primary", 50)


def test_a_launch_that_fails_ends_the_start(connect: Connect) -> None:
    program, service = connect(
        start=missing({"primary": int(Problem.DOES_NOT_EXIST)}),
        launch=failing(grpc.StatusCode.INTERNAL, "no disk"),
    )
    result = program.run("start")
    assert (result.code, result.out, result.err) == (2, "", "launch failed: no disk\n")
    assert len(service.requests["start"]) == 1


@pytest.mark.parametrize(
    ("verb", "method", "hint"),
    [
        ("stop", "stop", "Use --force to power it off."),
        ("delete", "delet", "Use --purge to forcefully delete it."),
    ],
)
def test_what_to_do_is_said_once(connect: Connect, verb: str, method: str, hint: str) -> None:
    status, text = (
        grpc.StatusCode.FAILED_PRECONDITION,
        "Cannot shut down instance a while starting.",
    )
    program, service = connect(**{method: failing(status, text)})
    expected = f"{verb} failed: {text}\n{hint}\n"
    assert program.run(verb, "a").err == expected
    service.answers[method] = failing(status, f"{text}\n{hint}")
    assert program.run(verb, "a").err == expected
    service.answers[method] = failing(status, "something else")
    assert program.run(verb, "a").err == f"{verb} failed: something else\n"
