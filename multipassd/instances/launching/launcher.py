"""Launching: from a request to an instance that can be logged in to, in named stages.

A launch that ends before the machine runs leaves nothing behind. From then on the instance stays,
also if it takes too long to boot or its client no longer waits. A client that disconnects ends its
launch, except when its time (`--timeout`) is over: then the launch goes on, as 1.16's clients say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from multipassd.cloudinit import knownkeys, userdata
from multipassd.cloudinit.logins import Shared
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.cloudinit.userdata import UserData
from multipassd.drivers.interface import IMPORT, NotOnBackend
from multipassd.images.image import Progress
from multipassd.images.library import Images
from multipassd.instances import host_limits, placing
from multipassd.instances.collection import Instances
from multipassd.instances.guests.reachability import START_TIMEOUT
from multipassd.instances.host_limits import TooLarge
from multipassd.instances.instance import Instance
from multipassd.instances.launching.instance_files import (
    InstanceFiles,
    refuse_taken_addresses,
    stage,
)
from multipassd.instances.launching.launch_spec import LaunchSpec
from multipassd.instances.launching.reporter import Reporter
from multipassd.instances.owners.claims import Claim
from multipassd.instances.states.errors import NameNotFree, Several, TimedOut
from multipassd.system import background, log
from multipassd.system.background import Tasks

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
    Progress.WAITING: "another launch, or the upload",
}


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
        self._tasks = Tasks()
        self.left: dict[str, asyncio.Task[Instance]] = {}  # those that go on without a client
        self._configuring = asyncio.Semaphore(CONFIGURED_AT_ONCE)
        self._files = InstanceFiles(instances, key, authority, shared, self._configuring)

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
        refuse_taken_addresses(self._instances, order)
        with self._instances.claimed(order.name, order.owner, order.amounts) as claim:
            instance = await self._make(order, user, report, claim)
        try:
            report.step(f"Starting {order.name}")
            stage(order.name, "start")
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
            stage(instance.name, "boot")
            await instance.wait(seconds)
            stage(instance.name, "wait")
            await instance.wait(seconds, initialised=True)
        except TimedOut as error:
            raise Several([error]) from None  # in 1.16's words

    async def _make(
        self, order: LaunchSpec, user: UserData, report: Reporter, claim: Claim
    ) -> Instance:
        report.step(f"Creating {order.name}")
        await self._instances.driver.ready()
        await placing.check_target(self._instances.driver, order.target)
        if stranger := await self._instances.driver.stranger(order.name):
            raise NameNotFree(order.name, stranger)
        kind = self._instances.driver.image_kind
        image = await self._images.resolve(order.image, order.remote, order.caller, kind)
        stage(order.name, "image")
        told = _noted(order.name, report.progress)
        base = await self._images.fetch(image, told, order.name, order.caller, kind)
        if base.export is not None and not self._instances.driver.exports:
            raise NotOnBackend(IMPORT)
        size = order.disk_for(base)
        claim.change(claim.amounts._replace(disk=size))
        report.step(f"Preparing image for {order.name}")
        await self._instances.driver.prepare(base, lambda percent: told(Progress.WAITING, percent))
        creating = self._tasks.spawn(self._files.create(order, user, image, base, size, report))
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

    def _refuse_too_large(self, order: LaunchSpec) -> None:
        """Only a disk size that was asked for: the default one is there to be grown into."""
        place = self._instances.registry.place(order.name).parent
        limits = host_limits.of(self._instances.driver, place)
        if why := limits.memory_excess(order.memory):
            raise TooLarge(f"{why}. Ask for less with --memory.")
        if why := limits.disk_excess(order.disk):
            raise TooLarge(f"{why}. Ask for less with --disk.")


def _noted(name: str, progress: Callable[[Progress, int], None]) -> Callable[[Progress, int], None]:
    """The same, and what it tells of is a stage, too."""
    last: Progress | None = None

    def tell(kind: Progress, percent: int) -> None:
        nonlocal last
        if kind != last:
            last = kind
            stage(name, FETCHING[kind])
        progress(kind, percent)

    return tell
