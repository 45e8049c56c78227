"""Two things at once to one instance, or one thing to two. A stand-in for the driver stops each
where the other is to come between."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from multipassd.cloudinit import userdata
from multipassd.cloudinit.clone_seed import CloneSeed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.cloudinit.userdata import UserDataError
from multipassd.drivers.interface import DriverError, Hardware, Machine
from multipassd.drivers.one_host import OneHost
from multipassd.images.image import Base, Image
from multipassd.images.library import Images
from multipassd.instances.collection import Instances
from multipassd.instances.guests import guest_ssh, reattachment
from multipassd.instances.launching.launch_spec import LaunchSpec, NetworkSpec
from multipassd.instances.launching.launcher import CONFIGURED_AT_ONCE, Launcher
from multipassd.instances.launching.reporter import Reporter
from multipassd.instances.records.phase import Phase
from multipassd.instances.states.errors import GuestSilent, RepeatedAddress
from multipassd.instances.states.state import State
from multipassd.network.user_mode import UserNetworking
from protocol.errors import StorageFailed
from tests import waiting
from tests.multipassd.instances.site import Parts
from tools import records
from tools.sandbox import Sandbox

MAC = "52:54:00:00:00:07"
BASE = Base(id="0" * 64, path="/no/such/disk", format="raw", virtual_size=1 << 20)


class Guest:
    """Runs until it is killed, and does not answer."""

    stalled = ""
    stood_still = False

    def __init__(self) -> None:
        self.goes_on: Callable[[], None] = lambda: None
        self.reboots: Callable[[], None] = lambda: None
        self._ended = asyncio.Event()

    async def power_down(self) -> None:
        self._ended.set()

    async def kill(self) -> None:
        self._ended.set()

    async def suspend(self) -> None:
        self._ended.set()

    async def ended(self) -> str:
        await self._ended.wait()
        return ""

    async def console(self) -> str:
        return ""

    def close(self) -> None:
        pass


class Driver(OneHost):
    """Machines that are nowhere. `unreachable`: each runs already, and does not answer."""

    max_cpus, user, opens_service_taps, keeps_snapshots, clones = 1, "root", False, True, True
    offers_shares = exports = False

    def __init__(self) -> None:
        self.unreachable = self.fails = False
        self.looks = 0  # how often a running machine was looked for
        self.clearing, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()
        self.created = 0

    async def ready(self) -> None:
        pass

    async def choose(self, base: Base) -> Hardware:
        return records.HARDWARE

    async def adopt(self, machine: Machine, *, bios: bool, states: Sequence[str]) -> Hardware:
        return records.HARDWARE

    async def complete(self, hardware: Hardware) -> Hardware:
        return hardware

    def flat_files(self, machine: Machine) -> dict[str, Path]:
        return {}

    async def flatten(self, machine: Machine, path: Path, target: int) -> None:
        pass

    async def create(
        self, machine: Machine, base: Base, size: int, variables: Path | None = None
    ) -> None:
        self.created += 1
        await self.go_on.wait()
        if self.fails:
            raise DriverError("no luck")

    async def write_seed(self, machine: Machine, seed: Seed) -> None:
        pass

    async def add_interfaces(self, machine: Machine, interfaces: tuple[Interface, ...]) -> None:
        pass

    async def clone(
        self,
        source: Machine,
        machine: Machine,
        tags: Sequence[str],
        progress: Callable[[int], None],
    ) -> None:
        pass

    async def write_clone_seed(self, source: Machine, machine: Machine, seed: CloneSeed) -> bool:
        return True

    async def set_instance_id(self, machine: Machine, instance_id: str) -> None:
        pass

    async def take_snapshot(self, machine: Machine, tag: str) -> None:
        pass

    async def restore_snapshot(self, machine: Machine, tag: str) -> None:
        pass

    async def drop_snapshot(self, machine: Machine, tag: str) -> None:
        pass

    async def repair(self, machine: Machine) -> None:
        pass

    async def snapshot_size(self, machine: Machine, tag: str) -> int:
        return 0

    async def grow(self, machine: Machine, size: int) -> None:
        pass

    async def start(self, machine: Machine) -> Guest:
        return Guest()

    async def find(self, machine: Machine) -> Guest | None:
        self.looks += 1
        if self.unreachable:
            raise DriverError("it does not answer")
        return None

    async def suspended(self, machine: Machine) -> bool:
        return False

    async def forget_suspended(self, machine: Machine) -> None:
        pass

    async def clear(self, name: str) -> None:
        self.unreachable = False
        self.clearing.set()
        await self.go_on.wait()

    def names(self) -> list[str]:
        return []

    async def stranger(self, name: str) -> str:
        return ""


class OneImage:
    async def resolve(self, image: str, remote: str, caller: object, kind: str) -> Image:
        return Image(id=BASE.id, url="")

    async def fetch(
        self, image: Image, progress: object, name: str, caller: object, kind: str
    ) -> Base:
        return BASE


def instances_of(sandbox: Sandbox, driver: Driver) -> Instances:
    one = Instances(records.registry(sandbox), Parts(driver, UserNetworking(set)))
    one.load()
    return one


def launcher_of(sandbox: Sandbox, instances: Instances) -> Launcher:
    key, authority = ServiceKey(sandbox.data), SshAuthority(sandbox.data)
    return Launcher(instances, cast(Images, OneImage()), key, authority)


async def until(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(waiting.until, true)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reattachment, "REACH_AGAIN", 0.0)


async def unreachable(sandbox: Sandbox, driver: Driver) -> Instances:
    """foo, which runs and can't be reached."""
    records.registry(sandbox).put(records.make("foo", phase=Phase.RUNNING))
    instances = instances_of(sandbox, driver)
    driver.unreachable = True
    await instances.resume()
    assert instances.get("foo").state == State.UNKNOWN
    return instances


def test_nobody_looks_again_for_a_machine_that_was_being_ended_meanwhile(sandbox: Sandbox) -> None:
    """It would be called one that "ended while the service did not run"."""

    async def story() -> None:
        driver = Driver()
        instances = await unreachable(sandbox, driver)
        foo = instances.get("foo")
        driver.go_on.clear()
        ending = asyncio.create_task(foo.stop(force=True))
        await driver.clearing.wait()
        looks = driver.looks
        await asyncio.sleep(0.05)  # the next look is due, and waits for its turn
        driver.go_on.set()
        await ending
        await asyncio.sleep(0.05)
        assert foo.state == State.STOPPED and foo.record.ended_because == ""
        assert driver.looks == looks

    asyncio.run(story())


def test_nobody_looks_again_for_a_machine_that_was_purged(sandbox: Sandbox) -> None:
    """A look for one that does not run clears what is left of it: of another one that has
    the name by now, too."""

    async def story() -> None:
        driver = Driver()
        instances = await unreachable(sandbox, driver)
        driver.go_on.clear()
        purging = asyncio.create_task(instances.purge(instances.get("foo")))
        await driver.clearing.wait()
        looks = driver.looks
        await asyncio.sleep(0.05)  # the next look is due, and waits for its turn
        driver.go_on.set()
        await purging
        await asyncio.sleep(0.05)
        assert driver.looks == looks

    asyncio.run(story())


def test_whoever_waited_for_an_answer_of_the_last_boot_does_not_end_the_next_one(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ssh that asks takes its moment to end when its machine has."""
    records.registry(sandbox).put(records.make("foo"))

    async def story() -> None:
        asking, may_end = asyncio.Event(), asyncio.Event()

        async def ask(*_: object) -> str:
            asking.set()
            try:
                await asyncio.Event().wait()
            finally:
                await may_end.wait()
            return ""

        monkeypatch.setattr(guest_ssh, "run", ask)
        instances = instances_of(sandbox, Driver())
        foo = instances.get("foo")
        await foo.start()
        await asking.wait()
        await foo.stop(force=True)
        assert foo.state.value == "stopped"
        await foo.start()
        may_end.set()
        await asyncio.sleep(0.05)
        assert foo.state.value == "starting"
        await instances.purge(foo)

    asyncio.run(story())


def ignore(*_: object) -> None:
    pass


SILENT = Reporter(ignore, ignore, ignore, ignore)


def order(name: str) -> LaunchSpec:
    return LaunchSpec(
        name=name, image="", remote="", cpus=1, memory=1 << 28, disk=0, time_zone="", user_data="",
        networks=(NetworkSpec("eth9", MAC, True),), timeout=0.0,
    )  # fmt: skip


def test_many_long_configurations_at_once_leave_others_a_thread(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does hanging up make room for more of them: their threads go on."""
    may_end = threading.Event()
    begun: list[str] = []

    def slowly(text: str) -> None:
        begun.append(text)
        may_end.wait(waiting.PATIENCE)
        raise UserDataError("it took too long.")

    monkeypatch.setattr(userdata, "checked", slowly)

    async def story() -> None:
        launcher = launcher_of(sandbox, instances_of(sandbox, Driver()))
        launches = [
            asyncio.create_task(launcher.launch(order(f"foo{number}"), SILENT))
            for number in range(40)  # more than there are threads
        ]
        try:
            await until(lambda: len(begun) == CONFIGURED_AT_ONCE)
            for launch in launches[:20]:
                launch.cancel()
            async with asyncio.timeout(waiting.PATIENCE / 2):
                assert await asyncio.to_thread(int) == 0
            assert len(begun) == CONFIGURED_AT_ONCE
        finally:
            may_end.set()
            await asyncio.wait(launches)

    asyncio.run(story())


@pytest.mark.parametrize("name", ["machines", "instances"])
def test_a_file_in_place_of_a_directory_is_no_instance(sandbox: Sandbox, name: str) -> None:
    path = (sandbox.storage if name == "machines" else sandbox.data) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")

    async def story() -> None:
        launcher = launcher_of(sandbox, instances_of(sandbox, Driver()))
        with pytest.raises(StorageFailed, match=f"{path} can't be made, as something that is no"):
            await launcher.launch(order("foo"), SILENT)

    asyncio.run(story())
    assert path.read_text() == "in the way"


def test_of_two_launches_at_once_only_one_gets_a_mac_address(sandbox: Sandbox) -> None:
    async def story() -> None:
        driver = Driver()
        instances = instances_of(sandbox, driver)
        launcher = launcher_of(sandbox, instances)
        launched: list[str] = []
        driver.go_on.clear()

        def launch(name: str) -> asyncio.Task[Any]:
            report = Reporter(ignore, ignore, ignore, lambda: launched.append(name))
            return asyncio.create_task(launcher.launch(order(name), report))

        tasks = [launch("foo"), launch("bar")]
        await until(lambda: driver.created == 2)
        driver.go_on.set()
        await until(lambda: len(launched) + sum(task.done() for task in tasks) == 2)
        assert [type(task.exception()) for task in tasks if task.done()] == [RepeatedAddress]
        assert list(instances.taken()) == launched
        assert [path.name for path in (sandbox.storage / "machines").iterdir()] == launched
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await instances.purge(instances.get(launched[0]))

    asyncio.run(story())


@pytest.mark.parametrize(("timeout", "goes_on"), [(1.0, True), (0.0, False), (1000.0, False)])
def test_a_launch_whose_time_is_over_goes_on_and_one_that_is_broken_off_does_not(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, timeout: float, goes_on: bool
) -> None:
    async def silent(*_: object) -> str:
        raise GuestSilent("nobody there")

    monkeypatch.setattr(guest_ssh, "run", silent)

    async def story() -> None:
        driver = Driver()
        instances = instances_of(sandbox, driver)
        launcher = launcher_of(sandbox, instances)
        launched: list[str] = []
        report = Reporter(ignore, ignore, ignore, lambda: launched.append("foo"))
        driver.go_on.clear()
        wanted = replace(order("foo"), timeout=timeout)
        client = asyncio.create_task(launcher.launch(wanted, report))
        await until(lambda: driver.created == 1)
        client.cancel()
        await asyncio.sleep(0)
        driver.go_on.set()
        await asyncio.wait({client})
        assert client.cancelled() and list(launcher.left) == (["foo"] if goes_on else [])
        await until(lambda: not launcher.left)
        assert bool(launched) == goes_on
        assert list(instances.taken()) == launched
        if goes_on:
            foo = instances.get("foo")
            assert foo.state.value == "starting"
            await foo.stop()  # no client waits for it
            await instances.purge(foo)

    asyncio.run(story())


def test_a_launch_that_fails_without_its_client_is_told_to_the_log(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        driver = Driver()
        instances = instances_of(sandbox, driver)
        launcher = launcher_of(sandbox, instances)
        driver.go_on.clear()
        wanted = replace(order("foo"), timeout=1.0)
        client = asyncio.create_task(launcher.launch(wanted, SILENT))
        await until(lambda: driver.created == 1)
        client.cancel()
        await asyncio.wait({client})
        driver.fails = True
        driver.go_on.set()
        await until(lambda: not launcher.left)
        assert instances.taken() == set()

    with caplog.at_level(logging.WARNING, "multipassd"):
        asyncio.run(story())
    assert "the launch of foo, whose client waits no longer, failed: no luck" in caplog.text
