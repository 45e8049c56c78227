"""A guest ends while its network takes a while to be taken down. The machine is a real one."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from multipassd.drivers.interface import DriverError, Link
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.instances.collection import Instances
from multipassd.instances.instance import Instance
from multipassd.instances.records.phase import Phase
from multipassd.instances.states.state import State
from multipassd.network.interface import Cards
from multipassd.network.user_mode import UserNetworking
from tests.multipassd.instances.site import Parts
from tests.multipassd.instances.test_collection import furnish
from tests.waiting import PATIENCE
from tools import machines, records
from tools.sandbox import Sandbox

pytestmark = [
    pytest.mark.usefixtures("qemu"),
    pytest.mark.skipif(shutil.which("ssh") is None, reason="needs ssh"),
]


class Slow(UserNetworking):
    """As a bridge is, which others have to be asked about."""

    def __init__(self) -> None:
        super().__init__(set)
        self.done: list[str] = []
        self.detaching = asyncio.Event()

    async def attach(self, cards: Cards) -> tuple[Link, ...]:
        self.done.append("attach")
        return await super().attach(cards)

    async def detach(self, cards: Cards) -> None:
        self.detaching.set()
        await asyncio.sleep(0.3)
        self.done.append("detach")


@pytest.fixture
def networking() -> Slow:
    return Slow()


@pytest.fixture
def foo(sandbox: Sandbox, networking: Slow) -> Iterator[Instance]:
    known = records.registry(sandbox)
    known.put(records.make("foo", memory=64 << 20))
    driver = QemuDriver(
        DetachedRunner(sandbox.storage / "run"), sandbox.storage / "machines", "tcg"
    )
    instances = Instances(known, Parts(driver, networking))
    instances.load()
    furnish(instances, "foo")
    yield instances.get("foo")
    machines.end(sandbox)


def kill(sandbox: Sandbox) -> None:
    (pid,) = machines.running(sandbox)
    os.kill(pid, signal.SIGKILL)


def test_who_waits_for_it_is_told_why_it_ended(foo: Instance, sandbox: Sandbox) -> None:
    async def story() -> None:
        await foo.start()
        waiting = asyncio.create_task(foo.wait(PATIENCE))
        kill(sandbox)
        with pytest.raises(DriverError, match="waited for: QEMU ended unexpectedly"):
            await waiting

    asyncio.run(story())


def test_the_next_start_comes_after_all_of_the_end(
    foo: Instance, sandbox: Sandbox, networking: Slow
) -> None:
    async def story() -> None:
        await foo.start()
        kill(sandbox)
        await asyncio.wait_for(networking.detaching.wait(), PATIENCE)
        assert foo.state == State.STOPPED and networking.done == ["attach"]
        await foo.start()
        assert networking.done == ["attach", "detach", "attach"]
        assert foo.record.phase is Phase.RUNNING
        await foo.stop(force=True)

    asyncio.run(story())
