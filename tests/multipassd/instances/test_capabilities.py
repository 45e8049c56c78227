"""What a driver declares that it can't do is refused in 1.16's sentence, and nothing changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, cast

import pytest

from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.drivers.interface import Hardware, NotOnBackend
from multipassd.images.exported import Manifest
from multipassd.images.image import Base, Image
from multipassd.images.library import Images
from multipassd.instances import settings
from multipassd.instances.cloning.cloner import Cloner
from multipassd.instances.collection import Instances
from multipassd.instances.exporting import exporter
from multipassd.instances.exporting.importer import Importer, ImportSpec
from multipassd.instances.host_limits import TooLarge
from multipassd.instances.launching.launcher import Launcher
from multipassd.instances.owners.owner import SERVICE
from multipassd.instances.records.record import Mount, MountKind
from multipassd.instances.setting_keys import Key
from protocol.errors import RpcError
from protocol.status import Status
from tests.multipassd.instances.test_overlaps import (
    BASE,
    MAC,
    SILENT,
    Driver,
    OneImage,
    instances_of,
    launcher_of,
    order,
)
from tools import records
from tools.sandbox import Sandbox

MANIFEST = Manifest(name="old", cpus=1, memory=1 << 28, disk=1 << 30, instance_id="old-1", mac=MAC)
HUGE = 1 << 60  # more than any host has


class Poor(Driver):
    """Machines elsewhere that can be started and stopped."""

    keeps_snapshots = clones = exports = renames = offers_shares = False
    places = True

    def suspends(self, hardware: Hardware) -> bool:
        return False


class OneExport(OneImage):
    async def fetch(
        self, image: Image, progress: object, name: str, caller: object, kind: str
    ) -> Base:
        return BASE.replace(export=MANIFEST)


@pytest.fixture
def instances(sandbox: Sandbox) -> Instances:
    records.registry(sandbox).put(records.make("foo"))
    return instances_of(sandbox, Poor())


def sentence(work: Awaitable[object]) -> str:
    async def story() -> None:
        await work

    with pytest.raises(NotOnBackend) as refused:
        asyncio.run(story())
    assert refused.value.status is Status.UNIMPLEMENTED
    return refused.value.message


def importer_of(sandbox: Sandbox, instances: Instances) -> Importer:
    key, authority = ServiceKey(sandbox.data), SshAuthority(sandbox.data)
    launcher = launcher_of(sandbox, instances)
    return Importer(instances, cast(Images, OneImage()), launcher, key, authority)


def test_each_of_them_is_refused_by_its_name(sandbox: Sandbox, instances: Instances) -> None:
    foo = instances.get("foo")
    before = foo.record
    key, authority = ServiceKey(sandbox.data), SshAuthority(sandbox.data)

    async def add() -> None:
        native = Mount(source="/srv", target="data", uid=1, gid=1, kind=MountKind.NATIVE)
        foo.mounts.check_new(native, stopped=False)

    async def send(reply: object) -> None:
        raise AssertionError("nothing is sent")

    name = Key("local.foo.name", "foo", "name")
    charge = cast(Any, None)
    rename = settings.changing(instances, foo, name, "bar", SERVICE, charge, "", cast(Any, None))
    file = ImportSpec("file:///srv/foo", "", False, None, SERVICE)
    refused = {
        "snapshots": foo.snapshots.take("one"),
        "clone": Cloner(instances, authority).clone(foo, "bar", SERVICE, (), lambda percent: None),
        "suspend": foo.suspend(),
        "native mounts": add(),
        "export": exporter.export(foo, instances.driver, key, send),
        "import": importer_of(sandbox, instances).run(file, SILENT),
        "rename": rename,
    }
    for feature, work in refused.items():
        told = f"The {feature} feature is not implemented on this backend."
        assert sentence(work) == told
    assert foo.record == before and instances.taken() == {"foo"}


def test_a_launch_of_an_exported_file_makes_nothing_there(
    sandbox: Sandbox, instances: Instances
) -> None:
    key, authority = ServiceKey(sandbox.data), SshAuthority(sandbox.data)
    launcher = Launcher(instances, cast(Images, OneExport()), key, authority)
    told = sentence(launcher.launch(order("bar"), SILENT))
    assert told == "The import feature is not implemented on this backend."
    assert instances.taken() == {"foo"} and not cast(Poor, instances.driver).created


def test_machines_elsewhere_are_not_held_to_this_hosts_memory_and_disk(
    sandbox: Sandbox, instances: Instances
) -> None:
    large = replace(order("bar"), memory=HUGE, disk=HUGE)

    async def launch(driver: Driver) -> None:
        driver.fails = True  # where it gets there
        launcher = launcher_of(sandbox, instances_of(sandbox, driver))
        await launcher.launch(large, SILENT)

    with pytest.raises(TooLarge):
        asyncio.run(launch(Driver()))
    with pytest.raises(RpcError, match="no luck"):
        asyncio.run(launch(Poor()))
