"""Launching: from a request to an instance that can be logged in to, in named stages.

A launch that ends before the machine runs leaves nothing behind. From then on the instance stays,
also if it takes too long to boot or its client no longer waits. A client that disconnects ends its
launch, except when its time (`--timeout`) is over: then the launch goes on, as 1.16's clients say.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from multipassd.cloudinit import knownkeys, ssh_keys, userdata
from multipassd.cloudinit.logins import Shared
from multipassd.cloudinit.seed import Seed
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import NO_KEY, UNCHECKED, ServiceKey, SshKey
from multipassd.cloudinit.userdata import UserData
from multipassd.drivers.interface import Machine
from multipassd.images.image import Base, Image, Progress
from multipassd.images.library import Images
from multipassd.instances import host_limits
from multipassd.instances.collection import Instances
from multipassd.instances.guests.reachability import START_TIMEOUT
from multipassd.instances.host_limits import TooLarge
from multipassd.instances.instance import Instance
from multipassd.instances.launching.launch_spec import LaunchSpec
from multipassd.instances.owners.claims import Claim
from multipassd.instances.records.card_config import interfaces, mac_address
from multipassd.instances.records.record import ImageOrigin, Network, Record
from multipassd.instances.states.errors import NameNotFree, RepeatedAddress, Several, TimedOut
from multipassd.system import background, log
from multipassd.system.background import Tasks
from protocol.errors import StorageFailed

_log = log.get("launch")

# The daemon has six threads on two processors, and others need some, too: for a passphrase, a
# client's enrolment, a setting, another instance's start.
CONFIGURED_AT_ONCE = 2

# A client's clock begins before its launch gets here: the service may have to be started first.
CLOCK_SLACK = 10.0  # seconds

FETCHING = {
    Progress.IMAGE: "download",
    Progress.VERIFY: "verify",
    Progress.EXTRACT: "unpack",
    Progress.WAITING: "another's download",
}


@dataclass(frozen=True)
class Reporter:
    """Where a launch tells how far it is."""

    step: Callable[[str], None]  # "Creating NAME"
    progress: Callable[[Progress, int], None]
    message: Callable[[str], None]  # what is waited for
    launched: Callable[[], None]  # it runs, and is kept from now on
    warn: Callable[[str], None] = lambda text: None  # of what is no reason to refuse


class Launcher:
    """Carries launches out."""

    def __init__(
        self,
        instances: Instances,
        images: Images,
        key: ServiceKey,
        authority: SshAuthority,
        shared: Shared = lambda: True,
    ) -> None:
        """`shared`: do new instances let the shared key in? None while that can't be told."""
        self._instances = instances
        self._images = images
        self._key = key  # which instances let the service and its clients in by
        self._authority = authority
        self._shared = shared
        self._tasks = Tasks()
        self.left: dict[str, asyncio.Task[Instance]] = {}  # those that go on without a client
        self._configuring = asyncio.Semaphore(CONFIGURED_AT_ONCE)

    async def launch(self, order: LaunchSpec, report: Reporter) -> Instance:
        """Raises RpcError; see above for what is left then."""
        loop = asyncio.get_running_loop()
        due = loop.time() + order.timeout - CLOCK_SLACK
        making = self._tasks.spawn(self._make_and_start(order, report))
        try:
            instance = await asyncio.shield(making)
        except asyncio.CancelledError:
            if order.timeout and loop.time() > due:
                self._leave(order.name, making)
            else:
                making.cancel()
                await asyncio.wait({making})
            raise
        report.message("Waiting for initialization to complete")
        await self._await(instance, order.timeout or START_TIMEOUT)
        return instance

    async def make(self, order: LaunchSpec, report: Reporter) -> Instance:
        """An instance that is not started. Raises RpcError, and then nothing is left."""
        user = await self._tasks.complete(self._checked(order.user_data), auxiliary=True)
        with self._instances.claimed(order.name, order.owner, order.amounts) as claim:
            return await self._make(order, user, report, claim)

    def _leave(self, name: str, making: asyncio.Task[Instance]) -> None:
        """Its client has been told that it may still be starting."""

        def tell(task: asyncio.Task[Instance]) -> None:
            del self.left[name]
            error = None if task.cancelled() else task.exception()
            if error is not None:
                why = "the launch of %s, whose client waits no longer, failed: %s"
                _log.warning(why, name, error)

        self.left[name] = making
        background.goes_on(making)
        making.add_done_callback(tell)

    async def _make_and_start(self, order: LaunchSpec, report: Reporter) -> Instance:
        # Refused before anything is made; in a thread, as a megabyte of YAML takes seconds.
        user = await self._tasks.complete(self._checked(order.user_data), auxiliary=True)
        for text in knownkeys.unknown(user) if isinstance(user, dict) else ():
            report.warn(text)
        self._refuse_too_large(order)
        self._refuse_taken_addresses(order)
        with self._instances.claimed(order.name, order.owner, order.amounts) as claim:
            instance = await self._make(order, user, report, claim)
        try:
            report.step(f"Starting {order.name}")
            _stage(order.name, "start")
            await instance.start()
        except BaseException:  # it never ran, so it holds no user's data
            await self._tasks.complete(self._instances.purge(instance))
            raise
        report.launched()
        return instance

    async def _checked(self, user_data: str) -> UserData:
        """A thread can't be stopped, so its turn lasts as long, also if its client disconnects."""
        async with self._configuring:
            return await asyncio.to_thread(userdata.checked, user_data)

    async def _await(self, instance: Instance, seconds: float) -> None:
        try:
            _stage(instance.name, "boot")
            await instance.wait(seconds)
            _stage(instance.name, "wait")
            await instance.wait(seconds, initialised=True)
        except TimedOut as error:
            raise Several([error]) from None  # in 1.16's words

    async def _make(
        self, order: LaunchSpec, user: UserData, report: Reporter, claim: Claim
    ) -> Instance:
        report.step(f"Creating {order.name}")
        await self._instances.driver.ready()
        if stranger := await self._instances.driver.stranger(order.name):
            raise NameNotFree(order.name, stranger)
        image = await self._images.resolve(order.image, order.remote, order.caller)
        _stage(order.name, "image")
        told = _noted(order.name, report.progress)
        base = await self._images.fetch(image, told, order.name, order.caller)
        size = order.disk_for(base)
        claim.change(claim.amounts._replace(disk=size))
        report.step(f"Preparing image for {order.name}")
        creating = self._tasks.spawn(self._create(order, user, image, base, size, report))
        try:
            return await asyncio.shield(creating)
        except BaseException:
            await self._tasks.complete(self._undo(creating))
            raise

    async def _undo(self, creating: asyncio.Task[Instance]) -> None:
        """Once it has ended: its threads would go on writing."""
        await asyncio.wait({creating})
        if not creating.cancelled() and creating.exception() is None:
            await self._instances.purge(creating.result())

    async def _create(
        self,
        order: LaunchSpec,
        user: UserData,
        image: Image,
        base: Base,
        size: int,
        report: Reporter,
    ) -> Instance:
        """A failure removes what was made here, and nothing else."""
        registry = self._instances.registry
        made = await asyncio.to_thread(self._make_place, order.name)
        try:
            return await self._write_files(order, user, image, base, size, report)
        except BaseException:
            await asyncio.to_thread(registry.unmake_place, order.name, made)
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
            _stage(order.name, "overlay")
            place = registry.place(order.name)
            machine = Machine(order.name, place, order.cpus, order.memory, record.hardware, ())
            await driver.create(machine, base, size)
            report.step(f"Configuring {order.name}")
            _stage(order.name, "seed")
            async with self._configuring:
                copied = base.export is not None
                ours = public, keys
                seed = await asyncio.to_thread(self._seed, order, user, record, ours, copied)
                await driver.write_seed(machine, seed)
        except OSError as error:
            raise _not_written(order.name, registry.place(order.name), error) from error
        _stage(order.name, "record")
        self._refuse_taken_addresses(order)  # another launch may have been faster
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
            instance_id=f"{order.name}-{secrets.token_hex(8)}",
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

    def _refuse_too_large(self, order: LaunchSpec) -> None:
        """Only a disk size that was asked for: the default one is there to be grown into."""
        limits = host_limits.read(self._instances.registry.place(order.name).parent)
        if why := limits.memory_excess(order.memory):
            raise TooLarge(f"{why}. Ask for less with --memory.")
        if why := limits.disk_excess(order.disk):
            raise TooLarge(f"{why}. Ask for less with --disk.")

    def _refuse_taken_addresses(self, order: LaunchSpec) -> None:
        taken = self._instances.registry.mac_addresses()
        for network in order.networks:
            if network.mac in taken:
                raise RepeatedAddress(network.mac)


def _not_written(name: str, place: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"The files of {name} can't be written in {place}: {error.strerror or error}."
    )


def _noted(name: str, progress: Callable[[Progress, int], None]) -> Callable[[Progress, int], None]:
    """The same, and what it tells of is a stage, too."""
    last: Progress | None = None

    def tell(kind: Progress, percent: int) -> None:
        nonlocal last
        if kind != last:
            last = kind
            _stage(name, FETCHING[kind])
        progress(kind, percent)

    return tell


def _stage(name: str, stage: str) -> None:
    _log.debug("launch of %s: %s", name, stage)
