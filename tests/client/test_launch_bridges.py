"""`launch` and the bridges that a network needs: nothing is made without a yes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
import pytest

from protocol.messages.launch import LaunchError, LaunchReply, LaunchRequest
from tests.client.service import Connect, detailed
from tests.client.terminal import Terminal

Code = LaunchError.ErrorCodes


MISSING_BRIDGES = detailed(
    grpc.StatusCode.FAILED_PRECONDITION,
    "Missing bridges",
    LaunchError(error_codes=[int(Code.INVALID_NETWORK)]),
    LaunchReply(nets_need_bridging=["eth0", "eth1"]),
)
REFUSED = (
    "launch failed: Missing bridges\n"
    "Invalid network options supplied\n"
    "A bridge is created only after a user at a terminal has agreed to it.\n"
)


def test_bridges_are_not_made_unless_somebody_says_yes(connect: Connect) -> None:
    program, service = connect(launch=MISSING_BRIDGES)
    result = program.run("launch", "--network", "eth0", input=b"yes\n")
    assert (result.code, result.out) == (2, "")
    assert result.err == REFUSED
    assert len(service.requests["launch"]) == 1


@pytest.mark.parametrize(("answer", "made"), [(b"maybe\nYES\n", True), (b"n\n", False)])
def test_bridges_are_asked_about_on_a_terminal(
    connect: Connect, terminals: list[Terminal], answer: bytes, made: bool
) -> None:
    def answers(requests: Any, context: Any) -> Iterable[bytes]:
        request = LaunchRequest.decode(next(requests))
        if not request.permission_to_bridge:
            return MISSING_BRIDGES(iter([b""]), context)
        return iter([LaunchReply(vm_instance_name="x").encode()])

    program, _ = connect(launch=answers)
    terminal = Terminal(program, "launch", "--network", "eth0")
    terminals.append(terminal)
    question = "Do you want to continue (yes/no)? "
    first, *others = answer.splitlines(keepends=True)
    terminal.reply(question, first)
    for other in others:
        terminal.reply("Please answer yes/no: ", other)
    code, err = terminal.finish()
    assert (
        "Multipass needs to create bridges to connect to eth0, eth1.\r\n"
        "This will temporarily disrupt connectivity on those interfaces.\r\n\r\n" + question
    ) in terminal.shown
    assert (code, err) == ((0, "") if made else (2, REFUSED))
