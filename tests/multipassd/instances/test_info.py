"""`info` of a guest that does not answer: shows what its record has, and what is unknown. Stand-ins
for the driver and for `ssh`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing
from multipassd.instances.guests import guest_ssh, reachability
from multipassd.instances.states.errors import GuestSilent
from multipassd.instances.states.state import State
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods import information
from protocol import grpc
from protocol.messages.information import InfoReply, InfoRequest
from protocol.methods import BY_PATH
from protocol.roles import Role
from tests import waiting
from tests.multipassd.instances.test_overlaps import Driver, instances_of
from tools import records
from tools.sandbox import Sandbox

CPUS, MEMORY, DISK = 3, 1 << 30, 5 << 30


MOUNTS = SimpleNamespace(get=lambda key: "true")  # settings
TRUSTED = Standing(role=Role.ADMIN)


class Replies:
    def __init__(self) -> None:
        self.sent: list[InfoReply] = []

    def send(self, payload: bytes) -> None:
        self.sent.append(InfoReply.decode(payload))

    async def drained(self) -> None:
        pass

    async def next_message(self, seconds: float) -> bytes | None:
        return None

    async def further(self) -> bytes | None:
        return None


@pytest.mark.parametrize("in_time", [True, False], ids=["Running", "Unknown"])
def test_what_the_record_knows_is_told_of_a_silent_guest(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, in_time: bool
) -> None:
    answers = in_time

    async def ssh(*_: object) -> str:
        if not answers:
            raise GuestSilent("foo did not answer within 10 s")
        return ""

    monkeypatch.setattr(guest_ssh, "run", ssh)
    monkeypatch.setattr(reachability, "START_TIMEOUT", 0.0)
    monkeypatch.setattr(reachability, "PROBE_INTERVAL", 0.001)
    records.put(sandbox, records.make("foo", cpus=CPUS, memory=MEMORY, disk=DISK))

    async def story() -> list[InfoReply]:
        nonlocal answers
        instances = instances_of(sandbox, Driver())
        foo = instances.get("foo")
        await foo.start()
        expected = State.RUNNING if in_time else State.UNKNOWN
        await asyncio.to_thread(waiting.until, lambda: foo.state == expected)
        answers = False
        replies = Replies()
        peer = Peer(None, b"", "")
        method = BY_PATH[grpc.path("info")]
        call = Call(method, peer, InfoRequest(), replies, TRUSTED, lambda: instances)
        await information.info(
            call, cast(Daemon, SimpleNamespace(instances=instances, settings=MOUNTS))
        )
        await instances.purge(foo)
        return replies.sent

    *lines, reply = asyncio.run(story())
    (item,) = reply.details
    assert (item.cpu_count, item.memory_total, item.disk_total) == (
        str(CPUS), str(MEMORY), str(DISK),
    )  # fmt: skip
    assert item.instance_info is not None and item.instance_info.memory_usage == ""
    said = "".join(line.log_line for line in lines)
    why = "what foo uses is not known, as it could not be asked: foo did not answer within 10 s"
    assert (why in said) == in_time


def test_of_a_stopped_one_nothing_more_is_told_than_by_1_16(sandbox: Sandbox) -> None:
    records.put(sandbox, records.make("foo", cpus=CPUS))

    async def story() -> InfoReply:
        replies = Replies()
        peer = Peer(None, b"", "")
        method, instances = BY_PATH[grpc.path("info")], instances_of(sandbox, Driver())
        call = Call(method, peer, InfoRequest(), replies, TRUSTED, lambda: instances)
        daemon = SimpleNamespace(instances=instances, settings=MOUNTS)
        await information.info(call, cast(Daemon, daemon))
        (reply,) = replies.sent
        return reply

    (item,) = asyncio.run(story()).details
    assert (item.cpu_count, item.memory_total, item.disk_total) == ("", "", "")
