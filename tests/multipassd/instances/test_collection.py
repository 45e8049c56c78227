"""All instances: which names are taken, when the daemon must stay. The machine is a real one."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.instances.collection import Instances
from multipassd.instances.owners.owner import SERVICE
from multipassd.instances.records.phase import Phase
from multipassd.instances.states.errors import (
    BeingPrepared,
    InstanceDeleted,
    NameTaken,
    NoSuchInstance,
    Several,
)
from multipassd.network.user_mode import UserNetworking
from tests.multipassd.instances.site import Parts
from tools import machines, records
from tools.sandbox import Sandbox


@pytest.fixture
def instances(sandbox: Sandbox) -> Iterator[Instances]:
    """foo is stopped, gone is deleted."""
    known = records.registry(sandbox)
    known.put(records.make("foo", memory=64 << 20))
    known.put(records.make("gone", 1, deleted=True))
    runner = DetachedRunner(sandbox.storage / "run")
    driver = QemuDriver(runner, sandbox.storage / "machines", "tcg")
    instances = Instances(known, Parts(driver, UserNetworking(set)))
    instances.load()
    yield instances
    machines.end(sandbox)


def busy(instances: Instances) -> bool:
    """A call each time, as the type checker takes a property for constant."""
    return instances.busy


def furnish(instances: Instances, name: str) -> Path:
    """Just enough for QEMU to run it; its disk."""
    place = instances.registry.place(name)
    place.mkdir(parents=True)
    (place / "seed.iso").write_bytes(bytes(4096))
    disk = place / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "1M"], check=True)
    return disk


@pytest.mark.usefixtures("qemu")
def test_an_instance_that_runs_is_no_stranger_to_a_rename(instances: Instances) -> None:
    """Its machine would be named as one to be ended."""

    async def rename() -> str:
        furnish(instances, "foo")
        other = instances.add(records.make("bar", 2))
        foo = instances.get("foo")
        await foo.start()
        with pytest.raises(NameTaken) as taken:
            await instances.rename(other, "foo", SERVICE)
        await foo.stop(force=True)
        instances.close()
        return taken.value.message

    assert asyncio.run(rename()) == 'instance "foo" already exists'


def test_without_work_nothing_keeps_the_daemon(instances: Instances) -> None:
    assert len(instances) == 2 and not busy(instances)


def test_a_name_that_a_launch_has_taken_keeps_the_daemon_and_others_out(
    instances: Instances,
) -> None:
    with instances.reserved("new"):
        assert busy(instances) and "new" in instances.taken()
        with pytest.raises(BeingPrepared), instances.reserved("new"):
            pass
        with pytest.raises(BeingPrepared):
            instances.get("new")
    assert not busy(instances) and instances.taken() == {"foo", "gone"}
    for taken in ("foo", "gone"):
        with pytest.raises(NameTaken), instances.reserved(taken):
            pass


def test_an_instance_that_is_worked_on_keeps_the_daemon(instances: Instances) -> None:
    async def story() -> None:
        async with instances.get("foo").held():
            assert busy(instances)
        assert not busy(instances)

    asyncio.run(story())


def test_all_that_is_wrong_with_names_is_told_at_once(instances: Instances) -> None:
    with pytest.raises(Several) as caught:
        instances.chosen(["foo", "gone", "nobody"])
    assert caught.value.message.splitlines()[1:] == [
        InstanceDeleted("gone").message,
        NoSuchInstance("nobody").message,
    ]
    assert [each.name for each in instances.chosen(["foo", "foo"])] == ["foo"]
    assert [each.name for each in instances.chosen([])] == ["foo"]


@pytest.mark.usefixtures("qemu")
def test_a_machine_that_runs_keeps_the_daemon_and_one_that_was_purged_frees_its_name(
    instances: Instances,
) -> None:
    foo, disk = instances.get("foo"), furnish(instances, "foo")

    async def story() -> None:
        await foo.start()
        assert busy(instances)
        await foo.stop(force=True)
        assert not busy(instances)
        assert foo.record.phase is Phase.STOPPED and foo.record.ended_because == ""
        await instances.purge(foo)
        assert instances.taken() == {"gone"} and not disk.exists()
        with pytest.raises(NoSuchInstance):
            await foo.start()
        instances.close()

    asyncio.run(story())
