"""A client that is refused shows its other certificates, and no call is made twice by that."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from client import expiry, renewal
from client.certificate import CERTIFICATE, EARLIER, KEY, PENDING
from client.expiry import ATTEMPTED
from client.server import Server
from client.transport.roots import Roots
from protocol.addresses import parse
from protocol.certificates import CLIENT_LIFE, make_client
from protocol.client_certificate import ensure
from protocol.messages.listing import ListReply
from protocol.messages.trust import RenewReply, RenewRequest
from protocol.pem import pem_to_der
from tests.client.program import Program
from tests.client.service import Answer, Connect, replying
from tests.waiting import PATIENCE, until


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


@pytest.mark.parametrize("others", [(), (PENDING,), EARLIER[:2], (PENDING, *EARLIER[:3])])
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
    old = ends_soon(directory)
    for _ in range(3):
        assert program.run("list").code == 0
        until((directory / PENDING).exists, "the attempt")
    before = (directory / ATTEMPTED).stat(), (directory / PENDING).stat()
    assert program.run("list").code == 0
    assert ((directory / ATTEMPTED).stat(), (directory / PENDING).stat()) == before
    assert (directory / CERTIFICATE).read_bytes() == old
    assert service.requests.keys() == {"list"}


def test_no_command_waits_for_a_renewal_nor_does_who_reads_its_output(connect: Connect) -> None:
    released = threading.Event()

    def held(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        released.wait(PATIENCE)
        yield RenewReply().encode()

    program, service = connect(list=refusing(0), renew=held)
    directory = directory_of(program)
    old = ends_soon(directory)
    for _ in range(2):  # a pipe that the renewal kept open would hold this up
        assert program.run("list").out == "No instances found.\n"
        assert (directory / CERTIFICATE).read_bytes() == old
    until(lambda: "renew" in service.requests, "the exchange")
    new = (directory / PENDING).read_bytes()
    released.set()
    until(lambda: (directory / CERTIFICATE).read_bytes() == new, "the new certificate")
    assert len(service.requests["renew"]) == 1
    assert (directory / EARLIER[0]).read_bytes() == old


def ends_soon(directory: Path) -> bytes:
    now = datetime.now(UTC) + timedelta(days=20) - CLIENT_LIFE
    made = make_client(now, (directory / KEY).read_bytes()).certificate
    (directory / CERTIFICATE).write_bytes(made)
    return made


def test_earlier_certificates_move_up_and_the_oldest_goes(tmp_path: Path) -> None:
    ensure(tmp_path)
    contents = [(tmp_path / CERTIFICATE).read_bytes()]
    for number in range(len(EARLIER) + 2):
        contents.insert(0, f"certificate {number}".encode())
        (tmp_path / PENDING).write_bytes(contents[0])
        renewal._put_in_place(str(tmp_path))
        kept = [(tmp_path / name) for name in (CERTIFICATE, *EARLIER)]
        found = [path.read_bytes() for path in kept if path.exists()]
        assert found == contents[: len(EARLIER) + 1] and not (tmp_path / PENDING).exists()
    renewal._put_in_place(str(tmp_path))  # nothing waits
    assert (tmp_path / CERTIFICATE).read_bytes() == contents[0]


@pytest.mark.parametrize("kind", ["a link", "another user's"])
def test_what_is_not_this_commands_to_replace_is_left_alone(tmp_path: Path, kind: str) -> None:
    directory = tmp_path / "certificates"
    ensure(directory)
    ends_soon(directory)
    identity = f"{directory}/{CERTIFICATE}", f"{directory}/{KEY}"
    assert expiry.is_due(identity)
    if kind == "a link":
        (directory / CERTIFICATE).rename(tmp_path / "elsewhere.pem")
        (directory / CERTIFICATE).symlink_to(tmp_path / "elsewhere.pem")
    elif os.geteuid() == 0:
        os.chown(directory / CERTIFICATE, 12345, 12345)
    else:
        directory.chmod(0o500)  # only root gives files away
    assert not expiry.is_due(identity)


def test_one_that_waits_and_is_too_old_is_kept_as_an_earlier_one(connect: Connect) -> None:
    """It may have been exchanged at another service, before a kill, and that be used again now."""
    program, _ = connect(list=refusing(0), renew=replying(RenewReply()))
    directory = directory_of(program)
    waited = ends_soon(directory)
    (directory / PENDING).write_bytes(waited)
    old = ends_soon(directory)
    assert program.run("list").code == 0
    until(lambda: (directory / EARLIER[1]).exists() and not (directory / PENDING).exists())
    assert (directory / EARLIER[0]).read_bytes() == old
    assert (directory / EARLIER[1]).read_bytes() == waited
    assert (directory / CERTIFICATE).read_bytes() not in (old, waited)


def test_without_locks_nothing_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands could overwrite what one of them has exchanged."""
    ensure(tmp_path)
    ends_soon(tmp_path)

    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    monkeypatch.setattr(renewal, "_exchange", lambda *_: pytest.fail("it was exchanged"))
    service = Server(parse("unix:/nowhere"), Roots([]))
    renewal.renew(service, (f"{tmp_path}/{CERTIFICATE}", f"{tmp_path}/{KEY}"))
    assert sorted(os.listdir(tmp_path)) == [CERTIFICATE, KEY]


@pytest.mark.parametrize("waits", [False, True])
def test_where_an_earlier_one_is_known_and_the_present_one_ends_soon_a_new_one_is_exchanged(
    connect: Connect, waits: bool
) -> None:
    """Else such a service would take the one attempt of each day from the others."""
    program, service = connect(list=refusing(2 if waits else 1), renew=replying(RenewReply()))
    directory = directory_of(program)
    known, stale, old = (ends_soon(directory) for _ in range(3))
    (directory / EARLIER[0]).write_bytes(known)
    if waits:
        (directory / PENDING).write_bytes(stale)
    assert program.run("list").code == 0
    until(lambda: (directory / CERTIFICATE).read_bytes() != old, "the new certificate")
    earlier = [path.read_bytes() for name in EARLIER if (path := directory / name).exists()]
    assert earlier == ([old, stale, known] if waits else [old, known])
    sent = RenewRequest.decode(service.requests["renew"][0]).certificate
    assert sent == pem_to_der((directory / CERTIFICATE).read_bytes())
