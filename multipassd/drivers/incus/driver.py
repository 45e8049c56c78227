"""Machines on an Incus cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from multipassd.cloudinit import clone_seed
from multipassd.cloudinit import seed as seed_disk
from multipassd.cloudinit.clone_seed import CloneSeed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.drivers.incus import disks, images, requests, seeds
from multipassd.drivers.incus.api.client import Api, name_in_path
from multipassd.drivers.incus.api.errors import AlreadyExists, IncusError, NotFound
from multipassd.drivers.incus.cluster import entry as entries
from multipassd.drivers.incus.cluster import owner_tag
from multipassd.drivers.incus.cluster.entry import CONTAINER, ROOT, RUNNING, VIRTUAL_MACHINE, Entry
from multipassd.drivers.incus.cluster_machines import ClusterMachines, taken
from multipassd.drivers.incus.guest import IncusGuest
from multipassd.drivers.incus.networking.networks import Networks
from multipassd.drivers.interface import DriverError, Hardware, Machine, NotOnBackend
from multipassd.images.image import DISK, ROOTFS, Base, Kind
from multipassd.system import log
from protocol import settings as names

TYPE = "type"  # in `Hardware`
CREATE_SECONDS = 1800.0  # the image may have to be copied to another member, and unpacked
START_SECONDS = 300.0  # a suspended one's memory is read
CHANGE_SECONDS = 60.0
STATELESS = "stateless"  # a file of a machine: its saved memory is not to be used
EXPORT = "export"
# At the service's start, which may not wait for the cluster: what is found later is taken up then.
FIND_SECONDS = 2.0
# As `incus admin init` names it. A restricted certificate may not ask which pools there are.
USUAL_POOL = "default"

_log = log.get("incus")


class IncusDriver(ClusterMachines):
    """The driver of one cluster and its project."""

    max_cpus = 512  # as many as a virtual machine of Incus takes
    user = "root"
    opens_service_taps = offers_shares = exports = renames = False
    keeps_snapshots = clones = places = outlives_host = True

    @property
    def image_kind(self) -> Kind:
        return ROOTFS if self._setting(names.INCUS_TYPE) == CONTAINER else DISK

    def suspends(self, hardware: Hardware) -> bool:
        return hardware.get(TYPE) == VIRTUAL_MACHINE

    # -- making one -------------------------------------------------------------------------------

    async def ready(self) -> None:
        api = await self._reached()
        pool = self._setting(names.INCUS_POOL) or USUAL_POOL
        try:
            await api.get(f"/1.0/storage-pools/{name_in_path(pool)}", what=f"find the pool {pool}")
        except NotFound:
            raise DriverError(
                f"The Incus cluster has no storage pool {pool}; local.incus.pool names another "
                "one, and `incus storage list` shows them."
            ) from None
        read = await self.network.read()
        if read.usual not in read.found:
            raise DriverError(f"Instances can't be connected: {read.why}.")
        if not read.direct and self._setting(names.INCUS_TYPE) != CONTAINER:
            raise DriverError(
                f"Virtual machines on the Incus cluster could not be reached, as {read.why}. Let "
                "local.incus.network name a network that this host and clients reach, as of type "
                "macvlan, physical or ovn; or launch containers: `multipass set "
                "local.incus.type=container`."
            )
        await self.check_place(self._setting(names.INCUS_TARGET))

    async def prepare(self, base: Base, report: Callable[[int], None]) -> None:
        await images.ensure(await self._reached(), base, self._cluster.daemon, report)

    async def prune_images(self, kept: Collection[str]) -> None:
        try:
            for each in await images.prune(await self._reached(), self._cluster.daemon, kept):
                _log.info("removed the image %s from the Incus cluster, unused for weeks", each)
        except IncusError as error:
            _log.info("images on the Incus cluster stay for now: %s", error.message)

    async def choose(self, base: Base) -> Hardware:
        return {TYPE: self._setting(names.INCUS_TYPE)}

    async def adopt(self, machine: Machine, *, bios: bool, states: Sequence[str]) -> Hardware:
        raise NotOnBackend("import")

    async def complete(self, hardware: Hardware) -> Hardware:
        return hardware

    async def create(
        self, machine: Machine, base: Base, size: int, variables: Path | None = None
    ) -> None:
        api = await self._reached()
        kind = _kind(machine)
        fingerprint = await images.ensure(api, base, self._cluster.daemon)
        read = await self.network.known()
        pool = self._setting(names.INCUS_POOL) or USUAL_POOL
        cards = requests.cards(machine.links, read.usual)
        devices = {
            ROOT: requests.root_device(kind, pool, size, machine.memory),
            **requests.card_devices(cards, _managed(read)),
        }
        body = requests.create(machine, kind, fingerprint, self._cluster.daemon, devices)
        target = machine.target or self._setting(names.INCUS_TARGET)
        where = {"target": target} if target else {}
        await self._create(api, machine.name, body, where)
        await self._look(machine.name)

    async def _create(
        self, api: Api, name: str, body: dict[str, Any], where: dict[str, str]
    ) -> None:
        what = f"make the instance {name}"
        try:
            await api.operate(
                "POST", "/1.0/instances", body, seconds=CREATE_SECONDS, what=what, **where
            )
        except AlreadyExists:
            raise DriverError(taken(name)) from None

    async def write_seed(self, machine: Machine, seed: Seed) -> None:
        await asyncio.to_thread(seed_disk.write, seeds.path(machine), seed)
        await self._push_seed(machine)

    async def add_interfaces(self, machine: Machine, interfaces: tuple[Interface, ...]) -> None:
        await asyncio.to_thread(seed_disk.add_interfaces, seeds.path(machine), interfaces)
        await self._push_seed(machine)

    async def set_instance_id(self, machine: Machine, instance_id: str) -> None:
        await asyncio.to_thread(seed_disk.set_instance_id, seeds.path(machine), instance_id)
        await self._push_seed(machine)

    async def _push_seed(self, machine: Machine) -> None:
        await self._own(machine)
        await seeds.push(await self._reached(), machine, _kind(machine))

    async def clone(
        self,
        source: Machine,
        machine: Machine,
        tags: Sequence[str],
        progress: Callable[[int], None],
    ) -> None:
        api = await self._reached()
        await self._own(source)
        read = await self.network.known()
        cards = requests.cards(machine.links, read.usual)
        devices = requests.card_devices(cards, _managed(read))
        try:
            await disks.copy(api, source.name, machine, self._cluster.daemon, devices, progress)
        except AlreadyExists:
            raise DriverError(taken(machine.name)) from None
        await self._look(machine.name)
        await self._push_seed(machine)

    async def write_clone_seed(self, source: Machine, machine: Machine, seed: CloneSeed) -> bool:
        paths = seeds.path(source), seeds.path(machine)
        return await asyncio.to_thread(clone_seed.write, *paths, seed)

    def flat_files(self, machine: Machine) -> dict[str, Path]:
        raise NotOnBackend(EXPORT)

    async def flatten(self, machine: Machine, path: Path, target: int) -> None:
        raise NotOnBackend(EXPORT)

    # -- its disk ---------------------------------------------------------------------------------

    async def grow(self, machine: Machine, size: int) -> None:
        await self._own(machine)
        await disks.grow(await self._reached(), machine.name, size)

    async def take_snapshot(self, machine: Machine, tag: str) -> None:
        await self._own(machine)
        await disks.take(await self._reached(), machine.name, tag)

    async def restore_snapshot(self, machine: Machine, tag: str) -> None:
        await self._own(machine)
        await disks.restore(await self._reached(), machine.name, tag)

    async def drop_snapshot(self, machine: Machine, tag: str) -> None:
        if await self._look(machine.name) is None:
            return  # it went with the instance
        await self._own(machine)
        await disks.drop(await self._reached(), machine.name, tag)

    async def repair(self, machine: Machine) -> None:
        return  # Incus removes what an operation has left over itself

    async def snapshot_size(self, machine: Machine, tag: str) -> int:
        return await disks.size(await self._reached(), machine.name, tag)

    # -- running it -------------------------------------------------------------------------------

    async def start(self, machine: Machine) -> IncusGuest:
        found = await self._own(machine)
        api = await self._reached()
        stateless = machine.directory / STATELESS
        if found.status != RUNNING:
            await self._equip(api, machine, found)
            resume = found.stateful and not stateless.exists()
            body = {"action": "start", "timeout": -1, "stateful": resume}
            await self._change_state(api, machine.name, body, START_SECONDS)
        stateless.unlink(missing_ok=True)
        await self._look(machine.name)
        return IncusGuest(machine.name, self._reached, self._view, self._usable)

    async def _equip(self, api: Api, machine: Machine, found: Entry) -> None:
        """What was changed since its last start: processors, memory, cards."""
        read = await self.network.known()
        wanted = requests.cards(machine.links, read.usual)
        missing = requests.missing(wanted, found.cards)
        limits = requests.limits(machine)
        config, devices = {}, {}
        if found.unused or tuple(limits.values()) != (found.cpus, found.memory):
            config = {**limits, owner_tag.NEW: ""}
            if found.kind == VIRTUAL_MACHINE:
                devices[ROOT] = await disks.root_with_room(api, machine)
        if missing:
            devices |= requests.card_devices(missing, _managed(read), found.cards)
        if config or devices:
            body = {"config": config, "devices": devices}
            what = f"change the instance {machine.name}"
            path = disks.instance(machine.name)
            await api.operate("PATCH", path, body, seconds=CHANGE_SECONDS, what=what)

    async def find(self, machine: Machine) -> IncusGuest | None:
        await self._reached(FIND_SECONDS)
        found = self._view.get(machine.name)
        if found is None:
            return None
        if why := self._view.trouble(machine.name):
            raise DriverError(f"{machine.name} can't be reached: {why}")
        if found.status == entries.STOPPED or not found.known:
            return None
        with suppress(IncusError):
            await self.network.known()  # by which way it is reached
        return IncusGuest(machine.name, self._reached, self._view, self._usable)

    async def suspended(self, machine: Machine) -> bool:
        found = self._view.get(machine.name)
        stateful = found is not None and found.status == entries.STOPPED and found.stateful
        return stateful and not (machine.directory / STATELESS).exists()

    async def forget_suspended(self, machine: Machine) -> None:
        if await self.suspended(machine):  # Incus drops it at the next start
            (machine.directory / STATELESS).touch()

    async def clear(self, name: str) -> None:
        self.network.relay.end(name)
        try:
            found = await self._look(name)
            if found is not None and found.daemon == self._cluster.daemon:
                await self._end(await self._reached(), found)
        except IncusError as error:
            _log.warning("whether %s still runs is not known: %s", name, error.message)


def _kind(machine: Machine) -> str:
    return machine.hardware.get(TYPE, VIRTUAL_MACHINE)


def _managed(read: Networks) -> dict[str, bool]:
    return {each.name: each.managed for each in read.found.values()}
