"""A cluster that is broken, slow or hostile: the daemon's client fails, in time and in bounds."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from multipassd.drivers.incus.api import answers, dead_peers, errors, members
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import (
    BadAnswer,
    IncusError,
    Lost,
    MemberUnreachable,
    TookTooLong,
    Unreachable,
)
from multipassd.drivers.incus.api.events import events, read
from multipassd.drivers.incus.api.execution import exec_stream
from multipassd.drivers.incus.api.members import MAX_ANSWER, Answer
from tests.multipassd.drivers.incus.fake_incus import FakeIncus, Fault, run, server_context

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MIB = 1 << 20
GROWTH = 3 * MAX_ANSWER  # bytes of memory that an endless answer may take

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile(directory: Path, serve: Serve) -> AsyncIterator[Api]:
    """A client that has joined, whose cluster is replaced by this server with its certificate."""
    fake = FakeIncus(directory)
    async with fake:
        membership = await fake.join()
    context = server_context(fake.pair)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    api = Api(membership.replace(addresses=(f"127.0.0.1:{port}",)), directory)
    try:
        yield api
    finally:
        await api.close()
        server.close()


def sending(data: bytes) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return serve


def body(text: bytes, more: bytes = b"") -> bytes:
    return OK + more + b"Content-Length: %d\r\n\r\n%s" % (len(text), text)


WRONG = {
    "no HTTP": b"SSH-2.0-x\r\n\r\n",
    "no JSON": body(b"<html>"),
    "no object": body(b"[]"),
    "nested": body(b"[" * 100_000),
    "a number of many digits": body(b"1" * 100_000),
    "no UTF-8": body(b'{"error": "\xff"}'),
    "cut off": OK + b"Content-Length: 100\r\n\r\n{",
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\n\r\n{}",
    "compressed": body(b"\x1f\x8b\x08\x00", b"Content-Encoding: gzip\r\n"),
    "a long header": OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    "many headers": OK + b"".join(b"X%d: x\r\n" % n for n in range(100_000)) + b"\r\n",
    "a long length": OK
    + b"Content-Length: %d\r\n\r\n" % (MAX_ANSWER + 1)
    + b"x" * (MAX_ANSWER + 1),
    "an error of another type": body(b'{"type": "error", "error": {"a": 1}, "error_code": "x"}'),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_an_answer_that_is_none_is_an_error_of_one_line(tmp_path: Path, data: bytes) -> None:
    async def work() -> None:
        async with hostile(tmp_path / "incus", sending(data)) as api:
            for call in (api.get("/1.0"), api.operate("POST", "/1.0/x", {}, seconds=5)):
                with pytest.raises(IncusError) as raised:
                    await call
                assert raised.value.message.isprintable() and len(raised.value.message) < 1000

    run(work)


def test_an_endless_answer_is_cut_off(tmp_path: Path) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():  # then `drain` neither waits nor fails
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    async def work() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with hostile(tmp_path / "incus", serve) as api:
            with pytest.raises(BadAnswer, match="over"):
                await api.get("/1.0")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert grown < GROWTH

    run(work)


def test_a_server_that_never_answers_costs_its_limit(tmp_path: Path) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async def work() -> None:
        async with hostile(tmp_path / "incus", serve) as api:
            with pytest.raises(TookTooLong, match="start it within 0 s"):
                await api.change("PUT", "/1.0/x", {}, seconds=0.2, what="start it")
            with pytest.raises(TookTooLong):
                await api.operate("POST", "/1.0/x", {}, seconds=0.2)
            with pytest.raises(TookTooLong):
                await anext(events_of(api))

    async def events_of(api: Api) -> AsyncIterator[object]:
        async with api.websocket("/1.0/events", seconds=0.2) as socket:
            yield socket

    run(work)


def test_cookies_of_a_server_are_not_kept(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            text = b'{"type": "sync", "metadata": 1}'
            writer.write(body(text, b"Set-Cookie: a=b\r\n"))
            await writer.drain()
            seen.append(await reader.readuntil(b"\r\n\r\n"))

    async def work() -> None:
        async with hostile(tmp_path / "incus", serve) as api:
            assert [await api.get("/1.0") for _ in range(3)] == [1, 1, 1]
        assert seen and not any(b"ookie" in each for each in seen)

    run(work)


# -- members that fail ----------------------------------------------------------------------------


def killing_first(fake: FakeIncus, api: Api) -> Callable[[], Awaitable[None]]:
    """Of the members the one that is asked first."""
    name = next(each.name for each in fake.members if each.address == api.addresses[0])
    return lambda: fake.kill(name)


def test_a_change_is_sent_once_when_the_connection_breaks(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus", members=2) as fake, fake.api() as api:
            fake.faults.append(Fault("POST /1.0/instances", before=killing_first(fake, api)))
            fake.requests.clear()
            with pytest.raises(Lost, match="not known"):
                await api.operate("POST", "/1.0/instances", {"name": "x"}, seconds=30)
            assert fake.requests == ["POST /1.0/instances"]
            assert await api.get("/1.0/instances") == []  # by the other one

    run(work)


def test_a_question_is_asked_again_elsewhere(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus", members=3) as fake, fake.api() as api:
            for _ in range(2):
                fake.faults.append(Fault("GET /1.0/instances", before=killing_first(fake, api)))
                assert await api.get("/1.0/instances") == []
            answered = api.addresses[0]
            await api.get("/1.0/instances")
            assert api.addresses[0] == answered  # what answered last is asked first

    run(work)


def test_a_change_goes_to_another_member_where_one_does_not_serve(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus", members=2) as fake, fake.api() as api:
            fault = Fault("POST /1.0/instances", "Server isn't ready yet", status=503)
            fake.faults.append(fault)
            with pytest.raises(errors.NotFound):
                body = {"name": "x", "source": {"type": "image", "fingerprint": "0"}}
                await api.operate("POST", "/1.0/instances", body, seconds=30)
            assert not fault.times
            fault.times = 2  # on both
            with pytest.raises(MemberUnreachable, match="incus cluster list"):
                await api.operate("POST", "/1.0/instances", {"name": "x"}, seconds=30)

    run(work)


NO_LEADER = "Failed to begin transaction: no available cowsql leader server found"


def test_a_member_that_is_cut_off_from_the_others_is_asked_last(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus", members=2) as fake, fake.api() as api:
            first = api.addresses[0]
            fake.faults.append(Fault("GET /1.0/instances", NO_LEADER))
            assert await api.get("/1.0/instances") == []
            assert api.addresses[0] != first
            first = api.addresses[0]
            fake.faults.append(Fault("POST /1.0/instances", NO_LEADER))
            fake.requests.clear()
            with pytest.raises(MemberUnreachable):  # whether it got half way is not known
                await api.operate("POST", "/1.0/instances", {"name": "x"}, seconds=30)
            assert len(fake.requests) == 1 and api.addresses[0] != first

    run(work)


def test_a_member_that_is_silent_leaves_time_for_the_others(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus", members=2) as fake, fake.api() as api:
            fault = Fault("GET /1.0/instances", before=lambda: asyncio.sleep(3600))
            fake.faults.append(fault)
            assert await api.get("/1.0/instances", seconds=2.0) == []
            assert not fault.times
            fault.times = 2
            with pytest.raises(TookTooLong):
                await api.get("/1.0/instances", seconds=0.5)

    run(work)


def test_an_operation_is_followed_when_its_member_dies(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus", members=2) as fake, fake.api() as api:
            fake.faults.append(Fault("/wait", before=killing_first(fake, api)))
            found = await api.post_stream("/1.0/images", {}, b"image", seconds=30)
            assert found["metadata"]["size"] == "5"

    run(work)


def test_a_call_under_way_when_the_client_is_closed_opens_nothing_more(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus", members=2) as fake, fake.api() as api:
            begun = asyncio.Event()

            async def hang() -> None:
                begun.set()
                await asyncio.sleep(3600)

            fake.faults.append(Fault("GET /1.0/instances", before=hang))
            asking = asyncio.ensure_future(api.get("/1.0/instances"))
            await begun.wait()
            await api.close()
            with pytest.raises(Unreachable):
                await asking
            with pytest.raises(Unreachable, match="closed"):
                await api.get("/1.0/instances")

    run(work)


def test_an_operation_that_never_ends_is_named(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            running = fake.operations.begin("multipass", "hangs", lambda _: asyncio.sleep(3600))
            identity = running.shown["id"]
            with pytest.raises(TookTooLong, match=identity):
                await api.wait(identity, seconds=1)
            assert running.task is not None
            running.task.cancel()

    run(work)


def test_an_operation_that_is_forgotten_is_no_success(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            with pytest.raises(Lost):
                await api.wait("0" * 8 + "-0000-0000-0000-" + "0" * 12, seconds=5)

    run(work)


def test_the_end_of_the_event_connection_is_noticed(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            listening = events(api)
            assert (await anext(listening)).kind == "connected"
            await fake.kill("m1")
            with pytest.raises(Unreachable):
                while True:
                    await anext(listening)

    run(work)


def test_a_ping_that_can_not_be_answered_is_the_end_of_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp raises it in place of a message where the connection ends at that moment."""

    async def receive(*_: object) -> None:
        raise aiohttp.ClientConnectionError("Cannot write to closing transport")

    async def work() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            listening = events(api)
            assert (await anext(listening)).kind == "connected"
            monkeypatch.setattr(aiohttp.ClientWebSocketResponse, "receive", receive)
            with pytest.raises(Unreachable, match="closing transport"):
                await anext(listening)

    run(work)


def test_a_command_whose_member_dies_is_an_error_and_no_end(tmp_path: Path) -> None:
    async def work() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            fp = (await api.post_stream("/1.0/images", {}, b"i", seconds=9))["metadata"]
            source = {"type": "image", "fingerprint": fp["fingerprint"]}
            body = {"name": "x", "source": source}
            await api.operate("POST", "/1.0/instances", body, seconds=9)
            state = {"action": "start"}
            await api.operate("PUT", "/1.0/instances/x/state", state, seconds=9)
            running = await exec_stream(api, "x", ["cat"])
            await running.write(b"x")
            assert await running.read() == b"x"
            await fake.kill("m1")
            with pytest.raises(Unreachable):
                assert await running.read()
                raise AssertionError("an end")
            await running.close()

    run(work)


def test_every_connection_is_told_when_a_peer_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a websocket may wait for its peer; `test_a_member_that_is_cut_off_is_passed_over` in
    test_api_cases.py shows what it is for."""
    told: list[tuple[int, int]] = []
    limit = dead_peers.limit

    def noted(connection: socket.socket, unacknowledged: int) -> None:
        limit(connection, unacknowledged)
        told.append(
            (
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            )
        )

    async def work() -> None:
        async with FakeIncus(tmp_path / "incus") as fake, fake.api() as api:
            monkeypatch.setattr(dead_peers, "limit", noted)
            await api.get("/1.0/instances")
            assert told == [(1, dead_peers.UNACKNOWLEDGED_MS)]
            async with api.websocket("/1.0/events", type="lifecycle"):
                assert told[-1] == (1, 0)

    run(work)


# -- wrong types ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [None, [], "x", {}, {"id": 7}, {"id": "../../1.0"}, {"id": "0" * 36}, {"id": "a/b?c"}],
)
def test_an_operation_without_an_id_is_none(metadata: object) -> None:
    with pytest.raises(BadAnswer):
        answers.operation({"type": "async", "metadata": metadata}, "x")


@pytest.mark.parametrize("found", [None, [], {}, {"status_code": "200"}, {"status_code": None}])
def test_an_operation_without_a_state_has_not_ended(found: object) -> None:
    with pytest.raises(BadAnswer):
        answers.has_ended(found, "x")


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", '{"type": "lifecycle"}', '{"type": "x", "metadata": {}}', "[" * 100_000],
)
def test_what_is_no_event_is_passed_over(text: str) -> None:
    assert read(text) is None


def test_an_event_of_other_types_has_empty_fields() -> None:
    text = '{"type": "lifecycle", "metadata": {"action": 7, "source": []}, "location": {}}'
    event = read(text)
    assert event is not None and (event.action, event.source, event.name) == ("", "", "")
    text = '{"type": "operation", "metadata": {"id": 1, "resources": {"instances": [1]}}}'
    event = read(text)
    assert event is not None and event.name == ""


def test_what_a_cluster_says_does_not_command_a_terminal() -> None:
    said = "x" * 10_000 + "bad\x1b[2J\x07\u202e thing\nnext"
    error = errors.failure("start it", 500, said)
    assert error.message.isprintable() and len(error.message) < 500
    assert "bad[2J thing next" in error.message


SENTENCES = {
    "Failed: write /x: no space left on device": errors.NoRoom,
    'Reached maximum number of instances of type "container" in project "multipass"': errors.NoRoom,
    'Failed to create "instances" entry: UNIQUE constraint failed: instances.name': (
        errors.AlreadyExists
    ),
    "Snapshot a/s9 does not exist": errors.NotFound,
    "Missing event connection with target cluster member": MemberUnreachable,
    'Cluster member "m2" is offline': MemberUnreachable,
    "RAFT cluster is unavailable": MemberUnreachable,
    'User does not have permissions for project "default"': errors.Refused,
    "Failed to stop instance: exit status 1": IncusError,
}


@pytest.mark.parametrize(("sentence", "kind"), SENTENCES.items(), ids=SENTENCES)
def test_the_class_of_an_error_is_read_from_its_sentence(
    sentence: str, kind: type[IncusError]
) -> None:
    assert type(errors.failure("start it", 500, sentence)) is kind
    with pytest.raises(kind):
        answers.has_ended({"status_code": 400, "err": sentence}, "start it")


def test_an_error_without_a_body_has_the_class_of_its_code() -> None:
    with pytest.raises(errors.Refused):
        answers.envelope(Answer(403, {}, b""), "start it")
    assert members.MAX_ERROR < MIB
