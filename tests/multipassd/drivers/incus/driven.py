"""The driver of Incus with the fake of a cluster that it has joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from multipassd.cloudinit.seed import Seed
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.cluster import owner_tag, watch
from multipassd.drivers.incus.cluster.entry import CONTAINER
from multipassd.drivers.incus.driver import TYPE, IncusDriver
from multipassd.drivers.interface import Link, Machine
from multipassd.images.image import QCOW2, SQUASHFS, Base
from protocol import settings as names
from tests.multipassd.drivers.incus.fake_incus import FakeIncus
from tests.waiting import PATIENCE

MAC, SECOND = "52:54:00:00:00:01", "52:54:00:00:00:02"
SEED = Seed("foo", "foo-1", "#cloud-config\na: 1\n", ())
OTHERS = "f" * 32  # the id of another service
SIZE = 5 << 30
# Seconds of the watch.
QUICKLY: dict[str, Any] = {
    "RETRY_SECONDS": 0.02,
    "MEMBERS_INTERVAL": 0.05,
    "ADDRESS_FIRST": 0.01,
    "LIST_AFTER": 0.01,
}
MEMORY = 512 << 20
DIRECTORY = {"X-Incus-type": "directory"}


class Driven:
    """One service. `seen`: the names that its driver has called back with, and of what."""

    def __init__(self, fake: FakeIncus, path: Path, settings: dict[str, str]) -> None:
        self.fake = fake
        self._path = path
        self.settings = {**names.DAEMON_KEYS, names.INCUS_TYPE: CONTAINER, **settings}
        self.driver = IncusDriver(path / "incus", lambda name: self.settings[name])
        self.seen: list[tuple[str, str]] = []

    def open(self) -> None:
        self.driver.open(
            lambda name: self.seen.append(("changed", name)),
            lambda name: self.seen.append(("unused", name)),
        )

    @property
    def daemon(self) -> str:
        return self.driver._cluster.daemon

    @property
    def view(self) -> Any:
        return self.driver._view

    @property
    def api(self) -> Api:
        api = self.driver._cluster._api
        assert api is not None
        return api

    @property
    def looking(self) -> set[str]:
        """The instances that are looked at now."""
        watch = self.driver._cluster._watch
        assert watch is not None
        return watch._looking

    def machine(self, name: str, **fields: Any) -> Machine:
        directory = self._path / "machines" / name
        directory.mkdir(parents=True, exist_ok=True)
        kind = fields.pop("kind", CONTAINER)
        known: dict[str, Any] = {
            "cpus": 1,
            "memory": MEMORY,
            "links": (Link(MAC),),
            "hardware": {TYPE: kind},
        }
        return Machine(name, directory, **(known | fields))

    def base(self, kind: str = CONTAINER) -> Base:
        path = self._path / "image"
        path.write_bytes(b"an image")
        form = SQUASHFS if kind == CONTAINER else QCOW2
        return Base(id="1" * 64, path=str(path), format=form, virtual_size=0, os="Ubuntu",
                    release="24.04 LTS", version="20260815")  # fmt: skip

    async def make(self, name: str, **fields: Any) -> Machine:
        """A machine that its driver has made."""
        machine = self.machine(name, **fields)
        kind = machine.hardware[TYPE]
        await self.driver.create(machine, self.base(kind), SIZE)
        for place in ("/var", "/var/lib"):  # as each root file system has them
            self.fake.instances.push(self.fake.instances.get(name), place, DIRECTORY, b"")
        return machine

    async def strange(self, name: str, /, *, runs: bool = True, **config: str) -> Any:
        """An instance that another program has made, with these keys below user.multipass."""
        shown = {owner_tag.PREFIX + key: value for key, value in config.items()}
        await self.fake.instances.create({"name": name, "config": shown}, "m1")
        found = self.fake.instances.get(name)
        if runs:
            await self.fake.instances.change_state(found, {"action": "start"})
        return found

    def shown(self, name: str) -> dict[str, Any]:
        """As the cluster has it."""
        return self.fake.instances.get(name).shown


def changes(site: Driven) -> list[str]:
    """The requests that were to change something."""
    return [each for each in site.fake.requests if not each.startswith("GET ")]


async def until(true: Callable[[], object]) -> None:
    """What happens in other tasks and comes by a connection."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - it is seen by asking alone
            await asyncio.sleep(0.005)


@asynccontextmanager
async def driven(path: Path, members: int = 1, **settings: str) -> AsyncIterator[Driven]:
    """`settings`: of `local.incus.`"""
    fake = FakeIncus(path / "incus", members=members)
    with patch.multiple(watch, **QUICKLY):
        async with fake:
            await fake.join()
            async with service(fake, path, **settings) as site:
                yield site


@asynccontextmanager
async def service(fake: FakeIncus, path: Path, **settings: str) -> AsyncIterator[Driven]:
    """One that has joined, also one more."""
    given = {f"local.incus.{name}": value for name, value in settings.items()}
    site = Driven(fake, path, given)
    site.open()
    try:
        await until(lambda: not site.view.unreachable)
        yield site
    finally:
        site.driver.close()
        await asyncio.gather(*site.driver._cluster._closing)
