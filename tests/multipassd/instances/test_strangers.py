"""Machines that run and are none of this storage directory's: left alone, and told of. They are
real ones."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest

from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.drivers.interface import DriverError, Link, Machine
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.images.library import Images
from multipassd.instances.collection import Instances
from multipassd.instances.launching.launcher import Launcher
from multipassd.instances.states.errors import NameNotFree
from multipassd.network.interface import Cards
from multipassd.network.user_mode import UserNetworking
from tests.multipassd.drivers.qemu.helper.test_main import ask
from tests.multipassd.instances.site import Parts
from tests.multipassd.instances.test_overlaps import SILENT, OneImage, order
from tools import machines, records
from tools.sandbox import Sandbox


@pytest.fixture
def elsewhere(qemu: None, sandbox: Sandbox) -> Machine:
    """foo, whose files are in another storage directory."""
    place = sandbox.root / "elsewhere/machines/foo"
    place.mkdir(parents=True)
    (place / "seed.iso").write_bytes(bytes(4096))
    disk = str(place / "disk.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        link = Link("52:54:00:00:00:01", ssh_port=probe.getsockname()[1])
    return Machine("foo", place, 1, 64 << 20, records.HARDWARE, (link,))


@pytest.fixture
def driver(sandbox: Sandbox) -> Iterator[QemuDriver]:
    """Where machines run is shared by all storage directories, as it is with units."""
    runner = DetachedRunner(sandbox.storage / "run")
    yield QemuDriver(runner, sandbox.storage / "machines", "tcg")
    machines.end(sandbox)


class Settling(UserNetworking):
    def __init__(self) -> None:
        super().__init__(set)
        self.reconciled = False

    async def reconcile(self, every: Iterable[Cards]) -> None:
        self.reconciled = True


def instances(
    sandbox: Sandbox, driver: QemuDriver, networking: UserNetworking | None = None
) -> Instances:
    parts = Parts(driver, networking or UserNetworking(set))
    one = Instances(records.registry(sandbox), parts)
    one.load()
    return one


def test_a_machine_that_no_record_knows_goes_on_and_is_named(
    sandbox: Sandbox, driver: QemuDriver, elsewhere: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        guest = await driver.start(elsewhere)
        networking = Settling()
        known = instances(sandbox, driver, networking)
        with caplog.at_level(logging.WARNING, "multipassd"):
            await known.resume()
        assert "a machine runs under the name foo, and no instance of that name" in caplog.text
        assert "kill -KILL" in caplog.text
        keys = ServiceKey(sandbox.data), SshAuthority(sandbox.data)
        launcher = Launcher(known, cast(Images, OneImage()), *keys)
        with pytest.raises(NameNotFree, match="a machine runs under the name foo"):
            await launcher.launch(order("foo"), SILENT)
        assert await DetachedRunner(sandbox.storage / "run").alive("foo")
        assert not networking.reconciled, "its address and tap would be taken back"
        await guest.kill()
        await guest.ended()
        known.close()

    asyncio.run(story())


def test_a_machine_of_the_same_name_with_another_disk_is_not_taken_up(
    sandbox: Sandbox, driver: QemuDriver, elsewhere: Machine
) -> None:
    async def story() -> None:
        guest = await driver.start(elsewhere)
        guest.close()  # QEMU talks to one at a time
        records.put(sandbox, records.make("foo"))
        ours = instances(sandbox, driver).get("foo").machine
        with pytest.raises(DriverError, match="is of another storage directory"):
            await driver.find(ours)
        assert await driver.find(elsewhere) is not None
        await driver.clear("foo")

    asyncio.run(story())


def test_no_unit_is_made_or_ended_for_another_storage_directory_than_its_maker_s(
    tmp_path: Path,
) -> None:
    for verb in ("start", "clear", "said"):
        request: dict[str, object] = {
            "do": verb,
            "name": "foo",
            "command": [],
            "storage": "/srv/multipass",
        }
        environ = {**os.environ, "MULTIPASS_STORAGE": str(tmp_path)}
        answer = ask(json.dumps(request) + "\n", environ)
        assert answer["code"] == 1
        assert "set MULTIPASS_STORAGE for both, see multipassd(8)" in answer["said"]
