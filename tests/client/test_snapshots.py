"""`snapshot`, `restore` and `clone`: what is asked, shown and refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from protocol.messages.snapshots import (
    CloneReply,
    CloneRequest,
    RestoreReply,
    RestoreRequest,
    SnapshotReply,
    SnapshotRequest,
)
from tests.client.service import Connect, replying
from tests.client.terminal import Terminal

QUESTION = "Do you want to take a snapshot of a before discarding its current state? (Yes/no): "
WRONG = {
    "snapshot": "Need the name of an instance to snapshot.",
    "snapshot a b": "Too many arguments supplied",
    "restore": "Need the name of an instance and snapshot to restore.",
    "restore a.b c.d": "Too many arguments supplied.",
    "restore a": "Invalid format. Please specify the instance to restore and snapshot to use in "
    "the form <instance>.<snapshot>.",
    "restore a.b.c": "Invalid format. Please specify the instance to restore and snapshot to use "
    "in the form <instance>.<snapshot>.",
    "clone": "Please provide the name of the source instance.",
    "clone a b": "Too many arguments.",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_refused_before_the_service_is_called(connect: Connect, line: str) -> None:
    program, _ = connect()
    result = program.run(*line.split())
    assert (result.code, result.out, result.err) == (1, "", WRONG[line] + "\n")


def asks(requests: Any, context: Any) -> Iterable[bytes]:
    if not RestoreRequest.decode(next(requests)).destructive:
        yield RestoreReply(confirm_destructive=True).encode()
        if not RestoreRequest.decode(next(requests)).destructive:
            yield RestoreReply(reply_message="Taking snapshot before restoring a").encode()
            yield RestoreReply(reply_message="Snapshot taken: a.snapshot2\n").encode()
    yield RestoreReply(reply_message="Restoring snapshot").encode()
    yield RestoreReply().encode()


@pytest.mark.parametrize(("answer", "taken"), [(b"\n", True), (b"Y\n", True), (b"no\n", False)])
def test_the_present_state_is_kept_unless_its_user_says_no(
    connect: Connect, terminals: list[Terminal], answer: bytes, taken: bool
) -> None:
    program, service = connect(restore=asks)
    terminal = Terminal(program, "restore", "a.s")
    terminals.append(terminal)
    terminal.reply(QUESTION, answer)
    code, _ = terminal.finish()
    assert code == 0
    assert ("Snapshot taken: a.snapshot2\r\n" in terminal.shown) is taken
    assert "Snapshot restored: a.s\r\n" in terminal.shown
    assert RestoreRequest.decode(service.requests["restore"][-1]).destructive is not taken


def test_an_answer_that_is_none_discards_nothing(
    connect: Connect, terminals: list[Terminal]
) -> None:
    program, service = connect(restore=asks)
    terminal = Terminal(program, "restore", "a.s")
    terminals.append(terminal)
    terminal.reply(QUESTION, b"maybe\n")
    terminal.reply("Please answer Yes/no: ", b"\x04")  # the end of input
    assert terminal.finish()[0] == 1
    assert len(service.requests["restore"]) == 1


def test_without_a_terminal_only_a_destructive_restore_is_made(connect: Connect) -> None:
    program, _ = connect(restore=asks)
    result = program.run("restore", "a.s", input=b"yes\n")
    assert result.code == 1
    assert result.err.endswith(
        "Caught an unhandled exception: Unable to query client for confirmation. Use "
        "'--destructive' to automatically discard current machine state.\n"
    )
    result = program.run("restore", "-d", "a.s")
    assert (result.code, result.out, result.err) == (0, "Snapshot restored: a.s\n", "")


def test_a_snapshot_is_asked_for_with_name_and_comment(connect: Connect) -> None:
    program, service = connect(snapshot=replying(SnapshotReply(snapshot="s")))
    for option in ("--comment", "-c", "-m"):
        result = program.run("snapshot", "a", "--name", "s", option, "some text")
        assert (result.code, result.out, result.err) == (0, "Snapshot taken: a.s\n", "")
        asked = SnapshotRequest.decode(service.requests["snapshot"][-1])
        assert (asked.instance, asked.snapshot, asked.comment) == ("a", "s", "some text")


def test_a_clone_is_asked_for_and_its_last_sentence_shown(connect: Connect) -> None:
    replies = (
        CloneReply(reply_message="Cloning a: 7%"),
        CloneReply(reply_message="Cloned from a to b."),
    )
    program, service = connect(clone=replying(*replies))
    result = program.run("clone", "a")
    assert (result.code, result.out, result.err) == (0, "Cloned from a to b.\n", "")
    assert CloneRequest.decode(service.requests["clone"][-1]).destination_name is None
    program.run("clone", "a", "-n", "b")
    assert CloneRequest.decode(service.requests["clone"][-1]).destination_name == "b"
