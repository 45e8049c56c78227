"""The files and the record of a new instance: made in order, or removed as a whole."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from multipassd.cloudinit import ssh_keys, userdata
from multipassd.cloudinit.logins import Shared
from multipassd.cloudinit.seed import Seed
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import NO_KEY, UNCHECKED, ServiceKey, SshKey
from multipassd.cloudinit.userdata import UserData
from multipassd.drivers.interface import Machine
from multipassd.images.image import Base, Image
from multipassd.instances.collection import Instances
from multipassd.instances.instance import Instance
from multipassd.instances.launching.launch_spec import LaunchSpec
from multipassd.instances.launching.reporter import Reporter
from multipassd.instances.records.card_config import interfaces, mac_address
from multipassd.instances.records.record import ImageOrigin, Network, Record
from multipassd.instances.states.errors import NameNotFree, RepeatedAddress
from multipassd.system import log
from protocol.errors import StorageFailed

_log = log.get("launch")


class InstanceFiles:
    """Makes what a launch leaves on disk. `configuring`: how many seeds are made at once."""

    def __init__(
        self,
        instances: Instances,
        key: ServiceKey,
        authority: SshAuthority,
        shared: Shared,
        configuring: asyncio.Semaphore,
    ) -> None:
        """`shared`: do new instances let the shared key in? None while that can't be told."""
        self._instances = instances
        self._key = key  # which instances let the service and its clients in by
        self._authority = authority
        self._shared = shared
        self._configuring = configuring

    async def create(
        self,
        order: LaunchSpec,
        user: UserData,
        image: Image,
        base: Base,
        size: int,
        report: Reporter,
    ) -> Instance:
        """A failure removes what was made here, and nothing else."""
        made = await asyncio.to_thread(self._make_place, order.name)
        try:
            return await self._write_files(order, user, image, base, size, report)
        except BaseException:
            await self._instances.leftovers.unmake(order.name, made)
            raise

    def _make_place(self, name: str) -> str:
        """Raises NameNotFree, StorageFailed."""
        registry = self._instances.registry
        try:
            return registry.make_place(name)
        except FileExistsError:
            why = f"{registry.place(name)} is in the way, and is left alone."
            raise NameNotFree(name, why) from None
        except OSError as error:
            raise _not_written(name, registry.place(name), error) from error

    async def _write_files(
        self,
        order: LaunchSpec,
        user: UserData,
        image: Image,
        base: Base,
        size: int,
        report: Reporter,
    ) -> Instance:
        registry, driver = self._instances.registry, self._instances.driver
        keys = await asyncio.to_thread(ssh_keys.make)
        login, public = await asyncio.to_thread(self._login)
        record = await self._record(order, image, base, size, keys, login)
        try:
            stage(order.name, "overlay")
            place = registry.place(order.name)
            links = self._instances.networking.links(record.cards)
            machine = Machine(
                order.name, place, order.cpus, order.memory, record.hardware, links, base.id,
                target=order.target,
            )  # fmt: skip
            await driver.create(machine, base, size)
            report.step(f"Configuring {order.name}")
            stage(order.name, "seed")
            async with self._configuring:
                copied = base.export is not None
                ours = public, keys
                seed = await asyncio.to_thread(self._seed, order, user, record, ours, copied)
                await driver.write_seed(machine, seed)
        except OSError as error:
            raise _not_written(order.name, registry.place(order.name), error) from error
        stage(order.name, "record")
        refuse_taken_addresses(self._instances, order)  # another launch may have been faster
        registry.put(record)
        return self._instances.add(record)

    async def _record(
        self, order: LaunchSpec, image: Image, base: Base, size: int, keys: SshKey, login: str
    ) -> Record:
        taken = self._instances.registry.mac_addresses()
        networks = tuple(
            Network(
                name=each.network, mac=each.mac or mac_address(taken), configured=each.automatic
            )
            for each in order.networks
        )
        return Record(
            name=order.name,
            instance_id=f"{order.name}-{os.urandom(8).hex()}",
            image=ImageOrigin(id=base.id, sha256=base.sha256, os=image.os, release=image.release),
            hardware=dict(await self._instances.driver.choose(base)),
            cpus=order.cpus,
            memory=order.memory,
            disk=size,
            mac=mac_address(taken | {network.mac for network in networks}),
            networks=networks,
            host_key=keys.public,
            ssh_authority=await asyncio.to_thread(lambda: self._authority.public),
            ssh_key=login,
            ssh_key_alone=UNCHECKED if base.export else login,
            owner=order.owner.name,
        )

    def _login(self) -> tuple[str, str]:
        """Name and public key that a new instance is to let in; NO_KEY and empty for none. Raises
        StorageFailed."""
        return self._key.present if self._shared() else (NO_KEY, "")

    def _seed(
        self,
        order: LaunchSpec,
        user: UserData,
        record: Record,
        ours: tuple[str, SshKey],
        copied: bool,
    ) -> Seed:
        """`ours`: the public key to let in, and the host key."""
        public, keys = ours
        authorised = tuple(line for line in (public, self._authority.line(record)) if line)
        merged = userdata.merge(user, order.name, authorised, keys, order.time_zone)
        return Seed(order.name, record.instance_id, merged, interfaces(record), copied)


def refuse_taken_addresses(instances: Instances, order: LaunchSpec) -> None:
    """Raises RepeatedAddress."""
    taken = instances.registry.mac_addresses()
    for network in order.networks:
        if network.mac in taken:
            raise RepeatedAddress(network.mac)


def _not_written(name: str, place: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"The files of {name} can't be written in {place}: {error.strerror or error}."
    )


def stage(name: str, what: str) -> None:
    """For the log."""
    _log.debug("launch of %s: %s", name, what)
