"""Launching: from a request to an instance that somebody can log in to, in named stages.

Whatever ends the launch before the machine runs leaves nothing behind. From then on the instance
stays, also when it takes too long to boot or its user no longer waits for it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from multipassd import log
from multipassd.cloudinit import hostkeys, seed, userdata
from multipassd.cloudinit.hostkeys import SshKey
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.drivers.driver import DriverError, Machine
from multipassd.images.image import Base, Image, Progress
from multipassd.images.images import Images
from multipassd.instances.instance import START_TIMEOUT, Instance
from multipassd.instances.instances import Instances
from multipassd.instances.order import Order
from multipassd.instances.record import ImageOrigin, Network, Record

PLACE_MODE = 0o2770  # its group is the hypervisor's, see packaging.md

_log = log.get("launch")


@dataclass(frozen=True)
class Reporter:
    """Where a launch tells how far it is."""

    step: Callable[[str], None]  # "Creating NAME"
    progress: Callable[[Progress, int], None]
    message: Callable[[str], None]  # what is waited for


class Launcher:
    def __init__(self, instances: Instances, images: Images, authorised_key: str) -> None:
        self._instances = instances
        self._images = images
        self._authorised_key = authorised_key

    async def launch(self, order: Order, report: Reporter) -> Instance:
        """Raises RpcError; see above for what is left then."""
        userdata.parse(order.user_data)  # refused before anything is made
        with self._instances.reserved(order.name):
            instance = await self._make(order, report)
        report.step(f"Starting {order.name}")
        _stage(order.name, "start")
        try:
            await instance.start()
        except BaseException:  # it never ran, so nobody would miss it
            await self._instances.purge(instance)
            raise
        report.message("Waiting for initialization to complete")
        _stage(order.name, "boot")
        await instance.wait(order.timeout or START_TIMEOUT)
        _stage(order.name, "wait")
        await instance.wait(order.timeout or START_TIMEOUT, initialised=True)
        return instance

    async def _make(self, order: Order, report: Reporter) -> Instance:
        report.step(f"Creating {order.name}")
        image = await self._images.resolve(order.image, order.remote)
        _stage(order.name, "image")
        base = await self._images.fetch(image, report.progress)
        size = order.disk_for(base)
        report.step(f"Preparing image for {order.name}")
        place = self._instances.registry.place(order.name)
        try:
            return await self._furnish(order, image, base, size, place, report)
        except BaseException:
            await self._instances.driver.clear(order.name)
            await asyncio.to_thread(self._instances.registry.remove_files, order.name)
            raise

    async def _furnish(
        self, order: Order, image: Image, base: Base, size: int, place: Path, report: Reporter
    ) -> Instance:
        keys = await asyncio.to_thread(hostkeys.make)
        record = await self._record(order, image, base, size, keys)
        machine = Machine(order.name, place, order.cpus, order.memory, record.hardware, ())
        try:
            await asyncio.to_thread(_make_place, place)
            _stage(order.name, "overlay")
            await self._instances.driver.create(machine, base, size)
            report.step(f"Configuring {order.name}")
            _stage(order.name, "seed")
            await asyncio.to_thread(seed.write, machine.seed, self._seed(order, record, keys))
            _stage(order.name, "record")
            self._instances.registry.put(record)
        except OSError as error:
            raise DriverError(
                f"The instance's files can't be written in {place}: {error.strerror}."
            ) from error
        return self._instances.add(record)

    async def _record(
        self, order: Order, image: Image, base: Base, size: int, keys: SshKey
    ) -> Record:
        taken = self._instances.registry.mac_addresses()
        networks = tuple(
            Network(name=one.network, mac=one.mac or mac_address(taken), configured=one.automatic)
            for one in order.networks
        )
        return Record(
            name=order.name,
            instance_id=f"{order.name}-{secrets.token_hex(8)}",
            image=ImageOrigin(id=base.id, sha256=base.sha256, os=image.os, release=image.release),
            hardware=await self._instances.driver.choose(base),
            cpus=order.cpus,
            memory=order.memory,
            disk=size,
            mac=mac_address(taken | {network.mac for network in networks}),
            networks=networks,
            host_key=keys.public,
        )

    def _seed(self, order: Order, record: Record, keys: SshKey) -> Seed:
        return Seed(
            name=order.name,
            instance_id=record.instance_id,
            user_data=userdata.merge(
                userdata.parse(order.user_data),
                order.name,
                self._authorised_key,
                keys,
                order.time_zone,
            ),
            interfaces=(
                Interface(record.mac),
                *(Interface(one.mac, optional=True) for one in record.networks if one.configured),
            ),
        )


def _make_place(place: Path) -> None:
    place.mkdir(parents=True)
    place.chmod(PLACE_MODE)


def mac_address(taken: set[str]) -> str:
    """A new one, in QEMU's own range; added to `taken`."""
    while True:
        tail = secrets.token_bytes(3)
        address = "52:54:00:" + ":".join(f"{byte:02x}" for byte in tail)
        if address not in taken:
            taken.add(address)
            return address


def _stage(name: str, stage: str) -> None:
    _log.debug("launch of %s: %s", name, stage)
