"""A caller disconnects in the middle of a call: its work is completed and recorded. The stand-ins
stop the work at the place where the caller disconnects."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from multipassd.audit.budget import Budget
from multipassd.audit.deed import Deed
from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.instances.collection import Instances
from multipassd.network.interface import Cards
from multipassd.network.user_mode import UserNetworking
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.dispatcher import Handler
from multipassd.rpc.methods import lifecycle, settings
from multipassd.rpc.subjects import subject_of
from multipassd.settings.settings import Settings
from multipassd.system import log
from multipassd.system.background import Tasks
from protocol import grpc
from protocol.codec import Message
from protocol.messages.access import SetRequest
from protocol.messages.common import InstanceSnapshotPair
from protocol.messages.lifecycle import DeleteRequest
from protocol.methods import BY_PATH
from protocol.roles import Role
from tests import waiting
from tests.multipassd.instances.site import Parts
from tests.reachable import reachable
from tools import records
from tools.sandbox import Sandbox

# Waits in the middle until it may continue.
SLOW_IMG = """#!/bin/sh
: >"$0.began"
while [ ! -e "$0.go" ]; do sleep 0.01; done
PATH=${PATH#*:} exec qemu-img "$@"
"""


TRUSTED = Standing(role=Role.ADMIN)


class Slow(UserNetworking):
    """Its `release` takes until `go_on`."""

    def __init__(self) -> None:
        super().__init__(set)
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def release(self, cards: Cards) -> None:
        self.began.set()
        await self.go_on.wait()


class Noted(logging.Handler):
    """What each record of the journal says was done, or how else it ended, and on what."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        fields = record.__dict__["fields"]
        done = fields.get("MULTIPASS_ACTION") or fields["MULTIPASS_OUTCOME"]
        on = fields.get("MULTIPASS_SETTING") or fields["MULTIPASS_INSTANCE"][0]
        self.told.append((done, on))


@pytest.fixture
def audit() -> Iterator[Noted]:
    handler, logger = Noted(), log.get("audit")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


class Nowhere:
    def send(self, payload: bytes) -> None:
        raise AssertionError("nobody is there any more")

    async def drained(self) -> None:
        pass

    async def next_message(self, seconds: float) -> bytes | None:
        return None

    async def further(self) -> bytes | None:
        return None


@pytest.fixture
def foo(sandbox: Sandbox) -> Sandbox:
    """It has the stopped instance foo."""
    records.put(sandbox, records.make("foo", disk=1 << 20))
    return sandbox


def service(sandbox: Sandbox) -> tuple[Daemon, Slow]:
    """As much of a daemon as these methods need."""
    networking = Slow()
    driver = QemuDriver(DetachedRunner(sandbox.storage / "run"), sandbox.storage / "machines", "")
    instances = Instances(records.registry(sandbox), Parts(driver, networking))
    instances.load()
    parts = SimpleNamespace(
        instances=instances, tasks=Tasks(), settings=Settings(sandbox.settings_path)
    )
    return cast(Daemon, parts), networking


async def call(handler: Handler, method: str, request: Message, daemon: Daemon) -> None:
    row, peer = BY_PATH[grpc.path(method)], Peer(None, b"", "")
    call = Call[Any](row, peer, request, Nowhere(), TRUSTED, lambda: daemon.instances)
    call.deed = Deed(row.deed, call.actor, Budget(), subject_of(request))
    with call.deed.watched():
        await handler(call, daemon)


async def hang_up(calling: Awaitable[None], begun: Callable[[], bool]) -> None:
    task = asyncio.ensure_future(calling)
    await until(begun)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def until(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(waiting.until, true)


def test_an_instance_whose_purge_nobody_waits_for_is_gone_and_on_record(
    foo: Sandbox, audit: Noted
) -> None:
    async def story() -> None:
        daemon, networking = service(foo)
        pairs = [InstanceSnapshotPair(instance_name="foo")]
        request = DeleteRequest(instance_snapshot_pairs=pairs, purge=True)
        await hang_up(call(lifecycle.delet, "delet", request, daemon), networking.began.is_set)
        networking.go_on.set()
        await until(lambda: bool(audit.told))
        assert audit.told == [("purged", "foo")]
        assert daemon.instances.taken() == set() and daemon.instances.all() == []

    asyncio.run(story())


def test_a_deletion_that_nobody_waits_for_is_on_record(foo: Sandbox, audit: Noted) -> None:
    async def story() -> None:
        daemon, _ = service(foo)
        instance = daemon.instances.get("foo")
        async with instance.held():
            request = DeleteRequest(
                instance_snapshot_pairs=[InstanceSnapshotPair(instance_name="foo")]
            )
            turns = iter(range(3))  # of the event loop, until it waits for the lock
            await hang_up(
                call(lifecycle.delet, "delet", request, daemon), lambda: next(turns, None) is None
            )
        await until(lambda: instance.record.deleted)
        await until(lambda: bool(audit.told))
        assert audit.told == [("deleted", "foo")]

    asyncio.run(story())


@pytest.mark.filterwarnings("error")
def test_a_deletion_that_was_asked_for_by_somebody_gone_at_once_is_none(
    foo: Sandbox, audit: Noted
) -> None:
    async def story() -> None:
        daemon, _ = service(foo)
        request = DeleteRequest(instance_snapshot_pairs=[InstanceSnapshotPair(instance_name="foo")])
        task = asyncio.create_task(call(lifecycle.delet, "delet", request, daemon))
        await asyncio.sleep(0)  # it has begun, and nothing else has
        task.cancel()
        await asyncio.wait({task})
        assert not daemon.instances.get("foo").record.deleted
        assert audit.told == [("cancelled", "foo")]

    asyncio.run(story())
    gc.collect()


def test_a_disk_that_grows_while_its_user_hangs_up_has_the_size_that_is_kept(
    foo: Sandbox, audit: Noted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reachable(tmp_path, 0o777)  # it is run by a user without rights
    slow = tmp_path / "qemu-img"
    slow.write_text(SLOW_IMG)
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    async def story() -> None:
        daemon, _ = service(foo)
        request = SetRequest(key="local.foo.disk", val="2M")
        began = (tmp_path / "qemu-img.began").exists
        await hang_up(call(settings.set_, "set", request, daemon), began)
        (tmp_path / "qemu-img.go").touch()
        await until(lambda: bool(audit.told))
        assert daemon.instances.get("foo").record.disk == 2 << 20
        assert audit.told == [("changed", "local.foo.disk")]

    asyncio.run(story())
