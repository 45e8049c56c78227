"""A client that is refused shows its other certificates, and no call is made twice by that."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from client.certificate import CERTIFICATE, EARLIER, KEY, PENDING
from client.renewal import ATTEMPTED
from protocol.certificates import CLIENT_LIFE, make_client
from protocol.client_certificate import ensure
from protocol.messages.listing import ListReply
from tests.client.program import Program
from tests.client.service import Answer, Connect
from tests.waiting import until


def directory_of(program: Program) -> Path:
    directory = program.home / "data" / "multipass-client-certificate"
    ensure(directory)
    return directory


def refusing(times: int, *before: ListReply) -> Answer:
    """The first of so many calls, each with its number; then it answers."""
    calls = 0

    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        nonlocal calls
        next(requests)
        calls += 1
        if calls <= times:
            yield from (reply.encode() for reply in before)
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"refused {calls}")
        yield ListReply().encode()

    return answer


@pytest.mark.parametrize("others", [(), (PENDING,), EARLIER[:2], (PENDING, *EARLIER)])
@pytest.mark.parametrize("times", range(7))
def test_each_is_shown_once_until_one_is_accepted(
    connect: Connect, others: tuple[str, ...], times: int
) -> None:
    program, service = connect(list=refusing(times))
    directory = directory_of(program)
    for name in others:
        (directory / name).write_bytes((directory / CERTIFICATE).read_bytes())
    done = program.run("list")
    assert len(service.requests["list"]) == min(times, len(others)) + 1
    if times <= len(others):
        assert (done.code, done.out, done.err) == (0, "No instances found.\n", "")
    else:
        assert (done.code, done.out) == (2, "") and done.err == "list failed: refused 1\n"


def test_a_call_that_ran_and_was_ended_is_not_made_again(connect: Connect) -> None:
    program, service = connect(list=refusing(1, ListReply(log_line="it ran\n")))
    directory = directory_of(program)
    (directory / PENDING).write_bytes((directory / CERTIFICATE).read_bytes())
    done = program.run("list")
    assert (done.code, done.err) == (2, "it ran\nlist failed: refused 1\n")
    assert len(service.requests["list"]) == 1


def test_at_a_service_that_can_renew_none_it_is_tried_once_a_day(connect: Connect) -> None:
    """As Multipass 1.16's."""
    program, service = connect(list=refusing(0))
    directory = directory_of(program)
    now = datetime.now(UTC) + timedelta(days=20) - CLIENT_LIFE
    old = make_client(now, (directory / KEY).read_bytes()).certificate
    (directory / CERTIFICATE).write_bytes(old)
    for _ in range(3):
        assert program.run("list").code == 0
        until((directory / PENDING).exists, "the attempt")
    before = (directory / ATTEMPTED).stat(), (directory / PENDING).stat()
    assert program.run("list").code == 0
    assert ((directory / ATTEMPTED).stat(), (directory / PENDING).stat()) == before
    assert (directory / CERTIFICATE).read_bytes() == old
    assert service.requests.keys() == {"list"}
