"""`--errors=json`: one line of JSON for programs; without it the text of 1.16 stays as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from client import error_document, errors
from client.errors import Status, StatusError
from protocol.messages.launch import LaunchProgress, LaunchReply
from protocol.messages.listing import ListReply
from tests.client.program import Program, Result
from tests.client.service import Connect, failing, replying

SENTENCE = "The client is not authenticated.\nPlease use 'multipass authenticate'."


def told(result: Result) -> dict[str, Any]:
    assert result.out == ""
    found = json.loads(result.err.splitlines()[-1])
    assert isinstance(found, dict) and list(found) == ["error"]
    error = found["error"]
    assert isinstance(error, dict) and error["exit_code"] == result.code
    return error


def test_an_error_of_the_service_has_problem_next_step_and_kind(connect: Connect) -> None:
    refusing = failing(grpc.StatusCode.UNAUTHENTICATED, SENTENCE)
    program, _ = connect(list=refusing)
    error = told(program.run("list", "--format=json", "--errors=json"))
    assert error["problem"] == "list failed: The client is not authenticated."
    assert error["next"] == "Please use 'multipass authenticate'."
    assert (error["kind"], error["exit_code"]) == ("unauthenticated", 2)


def test_without_the_option_the_text_is_that_of_1_16(connect: Connect) -> None:
    program, _ = connect(list=failing(grpc.StatusCode.UNAUTHENTICATED, SENTENCE))
    assert program.run("list", "--format=json").err == f"list failed: {SENTENCE}\n"


def test_a_service_that_is_away_is_unreachable(tmp_path: Path) -> None:
    program = Program(tmp_path, f"unix:{tmp_path}/none", tmp_path / "root.pem")
    result = program.run("list", "--errors=json", MULTIPASS_NEVER_ENROL="1")
    assert told(result)["kind"] == "unreachable"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("list", "x"), "This command takes no arguments"),
        (("start", "--none"), "Unknown option 'none'."),
        (("launch", "--format=yaml"), "--format is text or json"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_in_the_same_form(
    tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    program = Program(tmp_path, f"unix:{tmp_path}/none", tmp_path / "root.pem")
    error = told(program.run(*words, "--errors=json"))
    assert (error["problem"], error["kind"]) == (problem, "usage")


def test_a_bad_address_is_told_in_the_same_form(tmp_path: Path) -> None:
    program = Program(tmp_path, "nonsense", tmp_path / "root.pem")
    assert told(program.run("list", "--errors=json"))["next"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.HungUp("x"), "unreachable"),
        (errors.AccessDenied("x"), "denied"),
        (errors.Unverified("x"), "unverified"),
        (errors.TimedOut("x"), "timeout"),
        (errors.CommandFailed("x"), "failed"),
        (StatusError(Status.NOT_FOUND, "x"), "missing"),
        (StatusError(Status.ABORTED, "x"), "failed"),
    ],
)
def test_kinds_of_errors(error: errors.ClientError, kind: str) -> None:
    assert error_document.kind(error) == kind


def test_progress_of_a_launch_is_one_document_a_line(connect: Connect) -> None:
    image = LaunchProgress.ProgressTypes.IMAGE
    program, _ = connect(
        launch=replying(
            LaunchReply(create_message="Creating x"),
            LaunchReply(launch_progress=LaunchProgress(type=image, percent_complete="7")),
            LaunchReply(vm_instance_name="x"),
        ),
    )
    result = program.run("launch", "--format=json", "--errors=json")
    assert [json.loads(line) for line in result.out.splitlines()] == [
        {"stage": "Creating x", "percent": None},
        {"stage": "Retrieving image", "percent": 7},
        {"launched": "x"},
    ]
    assert result.code == 0 and result.err == ""


def test_an_invitation_is_a_document(connect: Connect) -> None:
    program, _ = connect(list=replying(ListReply()))
    assert told(program.run("invite", "bob", "--format=yaml", "--errors=json"))["kind"] == "usage"
