"""Machines on an Incus cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from multipassd.cloudinit import clone_seed
from multipassd.cloudinit import seed as seed_disk
from multipassd.cloudinit.clone_seed import CloneSeed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.drivers.incus import disks, images, requests, seeds
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import AlreadyExists, IncusError, Unreachable
from multipassd.drivers.incus.cluster import entry as entries
from multipassd.drivers.incus.cluster.connection import Cluster
from multipassd.drivers.incus.cluster.entry import CONTAINER, ROOT, RUNNING, VIRTUAL_MACHINE, Entry
from multipassd.drivers.incus.cluster.view import ONLINE
from multipassd.drivers.incus.guest import IncusGuest
from multipassd.drivers.incus.networking.guest_network import ClusterNetwork
from multipassd.drivers.incus.networking.networks import Networks
from multipassd.drivers.interface import DriverError, Hardware, Machine, NotOnBackend
from multipassd.images.image import DISK, ROOTFS, Base, Kind
from multipassd.system import log
from protocol import settings as names

TYPE = "type"  # in `Hardware`
CREATE_SECONDS = 1800.0  # the image may have to be copied to another member, and unpacked
START_SECONDS = 300.0  # a suspended one's memory is read
STOP_SECONDS, DELETE_SECONDS, CHANGE_SECONDS = 60.0, 300.0, 60.0
STATELESS = "stateless"  # a file of a machine: its saved memory is not to be used
EXPORT = "export"
# As `incus admin init` names it. A restricted certificate may not ask which pools there are.
USUAL_POOL = "default"

_log = log.get("incus")


class IncusDriver:
    """The driver of one cluster and its project."""

    max_cpus = 512  # as many as a virtual machine of Incus takes
    user = "root"
    opens_service_taps = offers_shares = exports = renames = False
    keeps_snapshots = clones = places = outlives_host = True

    def __init__(self, directory: Path, setting: Callable[[str], str]) -> None:
        """`directory`: of the membership; `setting`: the present value of one."""
        self._setting = setting
        self._cluster = Cluster(directory)
        self._view = self._cluster.view
        self.network = ClusterNetwork(
            self._cluster.api, self._view, lambda: setting(names.INCUS_NETWORK)
        )

    @property
    def image_kind(self) -> Kind:
        return ROOTFS if self._setting(names.INCUS_TYPE) == CONTAINER else DISK

    def suspends(self, hardware: Hardware) -> bool:
        return hardware.get(TYPE) == VIRTUAL_MACHINE

    def open(self, changed: Callable[[str], None]) -> None:
        self._view.on_found = changed
        self._cluster.open()

    def close(self) -> None:
        self.network.relay.close()
        self._cluster.close()

    # -- making one -------------------------------------------------------------------------------

    async def ready(self) -> None:
        await self._reached()
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
            raise DriverError(_taken(name)) from None

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
        await self._own(machine.name)
        await seeds.push(await self._reached(), machine, _kind(machine))

    async def clone(
        self,
        source: Machine,
        machine: Machine,
        tags: Sequence[str],
        progress: Callable[[int], None],
    ) -> None:
        api = await self._reached()
        await self._own(source.name)
        read = await self.network.known()
        cards = requests.cards(machine.links, read.usual)
        devices = requests.card_devices(cards, _managed(read))
        try:
            await disks.copy(api, source.name, machine, self._cluster.daemon, devices, progress)
        except AlreadyExists:
            raise DriverError(_taken(machine.name)) from None
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
        await self._own(machine.name)
        await disks.grow(await self._reached(), machine.name, size)

    async def take_snapshot(self, machine: Machine, tag: str) -> None:
        await self._own(machine.name)
        await disks.take(await self._reached(), machine.name, tag)

    async def restore_snapshot(self, machine: Machine, tag: str) -> None:
        await self._own(machine.name)
        await disks.restore(await self._reached(), machine.name, tag)

    async def drop_snapshot(self, machine: Machine, tag: str) -> None:
        if await self._look(machine.name) is None:
            return  # it went with the instance
        await self._own(machine.name)
        await disks.drop(await self._reached(), machine.name, tag)

    async def repair(self, machine: Machine) -> None:
        return  # Incus removes what an operation has left over itself

    async def snapshot_size(self, machine: Machine, tag: str) -> int:
        return await disks.size(await self._reached(), machine.name, tag)

    # -- running it -------------------------------------------------------------------------------

    async def start(self, machine: Machine) -> IncusGuest:
        found = await self._own(machine.name)
        api = await self._reached()
        stateless = machine.directory / STATELESS
        if found.status != RUNNING:
            await self._equip(api, machine, found)
            resume = found.stateful and not stateless.exists()
            body = {"action": "start", "timeout": -1, "stateful": resume}
            await self._change_state(api, machine.name, body, START_SECONDS)
        stateless.unlink(missing_ok=True)
        await self._look(machine.name)
        return IncusGuest(machine.name, api, self._view)

    async def _equip(self, api: Api, machine: Machine, found: Entry) -> None:
        """What was changed since its last start: processors, memory, cards."""
        read = await self.network.known()
        wanted = requests.cards(machine.links, read.usual)
        limits = requests.limits(machine)
        body: dict[str, Any] = {}
        if tuple(limits.values()) != (found.cpus, found.memory):
            body["config"] = limits
        if wanted != found.cards:
            body["devices"] = requests.card_devices(wanted, _managed(read))
        if body:
            what = f"change the instance {machine.name}"
            path = disks.instance(machine.name)
            await api.operate("PATCH", path, body, seconds=CHANGE_SECONDS, what=what)

    async def find(self, machine: Machine) -> IncusGuest | None:
        api = await self._reached()
        found = self._view.entries.get(machine.name)
        if found is None or found.daemon != self._cluster.daemon:
            return None
        if why := self._view.trouble(machine.name):
            raise DriverError(f"{machine.name} can't be reached: {why}")
        if found.status == entries.STOPPED:
            return None
        return IncusGuest(machine.name, api, self._view)

    async def suspended(self, machine: Machine) -> bool:
        found = self._view.entries.get(machine.name)
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

    async def _end(self, api: Api, found: Entry) -> None:
        if found.status != entries.STOPPED:
            body = {"action": "stop", "force": True, "timeout": -1}
            await self._change_state(api, found.name, body, STOP_SECONDS)
            await self._look(found.name)

    async def _change_state(
        self, api: Api, name: str, body: dict[str, Any], seconds: float
    ) -> None:
        what = f"{body['action']} the instance {name}"
        path = f"{disks.instance(name)}/state"
        await api.operate("PUT", path, body, seconds=seconds, what=what)

    # -- where it is ------------------------------------------------------------------------------

    async def check_removal(self, name: str) -> None:
        await self._reached()
        if why := self._view.trouble(name):
            raise DriverError(f"{name} can't be removed now: {why}.")

    async def remove(self, name: str) -> None:
        api = await self._reached()
        found = await self._look(name)
        if found is None:
            return
        if found.daemon != self._cluster.daemon:
            _log.warning("%s on the Incus cluster is not this service's, and stays", name)
            return
        await self._end(api, found)
        what = f"remove the instance {name}"
        await api.operate("DELETE", disks.instance(name), seconds=DELETE_SECONDS, what=what)
        self._view.remove(name)

    def place(self, name: str) -> str:
        found = self._view.entries.get(name)
        return found.location if found is not None else ""

    def way(self, name: str) -> str:
        return self.network.way(name)

    async def check_place(self, host: str) -> None:
        await self._reached()
        if not host:
            return
        if host not in self._view.members:
            known = ", ".join(sorted(self._view.members)) or "none, as it is no cluster"
            raise DriverError(f"The Incus cluster has no host {host!r}; its hosts: {known}.")
        if self._view.members[host] != ONLINE:
            raise DriverError(
                f"The host {host} of the Incus cluster is {self._view.members[host].lower()}."
            )

    async def move(self, machine: Machine, host: str) -> None:
        await self.check_place(host)
        found = await self._own(machine.name)
        if found.location != host:
            await disks.move(await self._reached(), machine.name, host)
            await self._look(machine.name)

    def troubles(self) -> list[str]:
        return self._view.troubles()

    def names(self) -> list[str]:
        return []  # what else the project has is left alone, and nobody's concern

    async def stranger(self, name: str) -> str:
        return "" if await self._look(name) is None else _taken(name)

    # -- what is known of it ----------------------------------------------------------------------

    async def _reached(self) -> Api:
        """Raises IncusError."""
        api = await self._cluster.api()
        if self._view.unreachable:
            raise Unreachable(f"The Incus cluster is not reached: {self._view.unreachable}")
        return api

    async def _look(self, name: str) -> Entry | None:
        """As it is now. Raises IncusError."""
        watch = await self._cluster.watch()
        return await watch.fresh(name)

    async def _own(self, name: str) -> Entry:
        """As it is now; this daemon's. Raises DriverError."""
        found = await self._look(name)
        if found is None:
            raise DriverError(
                f"{name} is no more on the Incus cluster: another program has removed it. "
                f"`multipass delete --purge {name}` forgets it."
            )
        if found.daemon != self._cluster.daemon:
            raise DriverError(
                f"{name} on the Incus cluster is not the instance that this service has made, and "
                f"is left alone. `multipass delete --purge {name}` forgets ours."
            )
        return found


def _kind(machine: Machine) -> str:
    return machine.hardware.get(TYPE, VIRTUAL_MACHINE)


def _managed(read: Networks) -> dict[str, bool]:
    return {each.name: each.managed for each in read.found.values()}


def _taken(name: str) -> str:
    return (
        f"the project on the Incus cluster has an instance {name} already, which this service has "
        "not made; it is left alone. `incus list` shows it."
    )
