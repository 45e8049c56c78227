"""`delete` of snapshots, which a 1.16 service has: what is asked, and when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
import pytest

from protocol.messages.lifecycle import (
    DeleteReply,
    DeleteRequest,
)
from tests.client.service import Connect
from tests.client.terminal import Terminal


def asks(requests: Any, context: Any) -> Iterable[bytes]:
    next(requests)
    yield DeleteReply(confirm_snapshot_purging=True).encode()
    if not DeleteRequest.decode(next(requests)).purge_snapshots:
        context.abort(grpc.StatusCode.CANCELLED, "Cancelled.")
    yield DeleteReply().encode()


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (b"y\n", (0, "")),
        (b"\n", (2, "delete failed: Cancelled.\n")),
        (b"No\n", (2, "delete failed: Cancelled.\n")),
    ],
)
def test_deleting_a_snapshot_is_confirmed_on_a_terminal(
    connect: Connect, terminals: list[Terminal], answer: bytes, result: tuple[int, str]
) -> None:
    program, _ = connect(delet=asks)
    terminal = Terminal(program, "delete", "a.s")
    terminals.append(terminal)
    question = (
        "Snapshots can only be purged (after deletion, they cannot be recovered). "
        "Are you sure you want to continue? (Yes/no): "
    )
    terminal.reply(question, answer)
    assert terminal.finish() == result


def test_deleting_a_snapshot_from_a_pipe_needs_purge(connect: Connect) -> None:
    program, _ = connect(delet=asks)
    result = program.run("delete", "a.s", "b", input=b"yes\n")
    assert (result.code, result.out) == (1, "")
    assert "Caught an unhandled exception: Snapshots can only be purged" in result.err
    assert "multipass delete --purge a.s\n" in result.err
    assert "multipass delete b\n" in result.err
