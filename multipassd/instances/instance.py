"""One instance: what may be done to it, one thing after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from multipassd.cloudinit.logins import Logins
from multipassd.drivers.interface import SUSPEND, Driver, Machine, NotOnBackend
from multipassd.instances.attachments.attachments import Attachments
from multipassd.instances.guests.login_way import LoginWay
from multipassd.instances.guests.reachability import PROBE_SECONDS, START_TIMEOUT
from multipassd.instances.guests.reattachment import Reattachment
from multipassd.instances.guests.running_guest import RunningGuest
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record import Record
from multipassd.instances.records.registry import Registry
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.snapshots.snapshots import Snapshots
from multipassd.instances.states import transitions
from multipassd.instances.states.errors import GuestSilent, NoSuchInstance, OfAnotherService
from multipassd.instances.states.state import ON, State
from multipassd.instances.states.transitions import Command, Event
from multipassd.mounts.client import MountServers
from multipassd.network.interface import Networking
from multipassd.system import log
from multipassd.system.background import Tasks
from protocol.errors import RpcError
from protocol.messages.information import InstanceDetails

POWER_DOWN_TIMEOUT = 120.0  # then the guest ignores the power button, and is switched off

_log = log.get("instances")


class Instance:
    """One instance. A command that changes its state is completed even if its caller disconnects: a
    state change that is cut short would be worse than one without a caller.
    """

    def __init__(
        self,
        record: Record,
        registry: Registry,
        driver: Driver,
        networking: Networking,
        key: Path,
        servers: MountServers | None = None,
        logins: Logins | None = None,
    ) -> None:
        """`key`: the first private SSH key that guests accept; `logins`: without it that is never
        replaced, and no certificate issued."""
        self._tasks = Tasks()
        self._stored = StoredRecord(record, registry)
        self._attachments = Attachments(
            self._stored, networking, servers, shares=driver.offers_shares, logins=logins
        )
        self.mounts = self._attachments.mounts
        self.delayed_stop = self._attachments.delayed_stop
        self.login_key = self._attachments.login_key
        self._guest = RunningGuest(
            self._stored, driver, self._attachments, key, self._tasks.spawn, logins
        )
        self.awaited = self._guest.awaited  # for a client that starts it and then waits
        self.endpoint, self.trouble = self._guest.endpoint, self._guest.trouble
        self.execute = self._guest.execute
        self.way = LoginWay(self._stored)
        self.warnings = self._guest.settling.warnings  # for clients that waited for its start
        self.snapshots = Snapshots(self._stored, driver, lambda: self.machine)
        self._driver = driver
        self._lock = asyncio.Lock()  # of what changes the machine
        self._reattachment = Reattachment(
            self._stored,
            driver,
            self._guest,
            self._attachments,
            self._lock,
            self._tasks,
            self.start,
        )

    @property
    def record(self) -> Record:
        return self._stored.record

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def state(self) -> State:
        return self._guest.state

    @property
    def running(self) -> bool:
        """As far as addresses, figures and logging in go."""
        return self.state in ON

    @property
    def busy(self) -> bool:
        """Something that a daemon must not leave alone."""
        return self._guest.busy or self._lock.locked()

    @property
    def on(self) -> bool:
        """Its machine runs, whether it answers or not."""
        return self._guest.on

    @property
    def locked(self) -> bool:
        """A command changes it."""
        return self._lock.locked()

    @property
    def machine(self) -> Machine:
        return self._guest.machine

    def addresses(self) -> list[str]:
        return self._attachments.cards.addresses() if self.running else []

    def describe(self, details: InstanceDetails) -> None:
        """Fill in what `info` shows of its attachments."""
        self._attachments.describe(details, running=self.running)

    async def wait(self, seconds: float = START_TIMEOUT, *, initialised: bool = False) -> None:
        """Until SSH answers and, if asked, cloud-init is done. Raises TimedOut, DriverError."""
        await self._guest.wait(seconds, initialised=initialised)

    def complete_pending(self) -> None:
        """In the background, what a killed daemon left of a change of its snapshots."""
        self._tasks.spawn(self.snapshots.complete(self._lock))

    # -- starting ---------------------------------------------------------------------------------

    async def reattach(self) -> None:
        """Find the guest that an earlier daemon started, if it still runs. Never fails."""
        await self._reattachment.find()

    def look(self) -> None:
        """The same, in the background."""
        self._tasks.spawn(self.reattach())

    async def start(self) -> None:
        """Returns once the machine runs; `wait` tells when it answers. Nothing to do if it does."""
        self.check(transitions.START)
        await self._tasks.complete(self._start())

    async def _start(self) -> None:
        async with self._lock:
            self.check(transitions.START)
            if not self._guest.on:
                await self.snapshots.prepare_start()
                await self._guest.boot(transitions.START)
            elif self.running:  # one that comes up is started by `exec`, which is to cancel nothing
                self.delayed_stop.cancel()

    # -- ending -----------------------------------------------------------------------------------

    async def stop(self, *, force: bool = False) -> None:
        """By force: off at once, in any state; a suspended state is dropped."""
        if force:
            await self._tasks.complete(self._force_stop())
        else:
            self.check(transitions.STOP)
            await self._tasks.complete(self._stop())

    async def _stop(self) -> None:
        async with self._lock:
            self.check(transitions.STOP)
            await self._power_down(transitions.STOP)

    async def _force_stop(self) -> None:
        await self._guest.kill()  # the lock's holder may wait for this guest
        async with self._lock:
            self.check(transitions.FORCE)
            await self._guest.switch_off()
            await self._driver.forget_suspended(self.machine)
            self._guest.record_end(Phase.STOPPED)
            self._guest.machine_state.happened(Event.NOT_THERE)

    async def restart(self) -> None:
        await self._tasks.complete(self._restart())

    async def _restart(self) -> None:
        async with self._lock:
            self.check(transitions.RESTART)
            await self._power_down(transitions.RESTART)
            await self._guest.boot(transitions.RESTART)

    async def suspend(self) -> None:
        """Nothing to do for one that is stopped or suspended."""
        self.check(transitions.SUSPEND)
        await self._tasks.complete(self._suspend())

    async def _suspend(self) -> None:
        if not self._driver.suspends(self.record.hardware):
            raise NotOnBackend(SUSPEND)
        async with self._lock:
            self.check(transitions.SUSPEND)
            await self._guest.suspend()

    async def delete(self) -> None:
        """Put it away, stopped; a suspended one keeps its state. Raises WrongState."""
        await self._tasks.complete(self._delete())

    async def _delete(self) -> None:
        self._check_own()
        async with self._lock:
            self.check(transitions.DELETE)
            await self._power_down(transitions.DELETE)
            self._stored.change(deleted=True, mounts=())

    async def purge(self) -> None:
        """Remove it: first the record, then the machine, then the files."""
        await self._tasks.complete(self._purge())

    async def _purge(self) -> None:
        self._check_own()
        await self._driver.check_removal(self.name)
        await self._guest.kill()  # the lock's holder may wait for this guest
        async with self._lock:
            if self._stored.purged:
                return
            self._stored.remove()
            await self._guest.switch_off()
            await self._attachments.on_purge()
            try:
                await self._driver.remove(self.name)
            except RpcError as error:  # its directory stays, so that the next start tries again
                _log.warning("what is left over of %s stays: %s", self.name, error.message)
            else:
                await asyncio.to_thread(self._stored.remove_files)

    def _check_own(self) -> None:
        """Raises OfAnotherService."""
        if self.record.service:
            raise OfAnotherService(self.name)

    async def _power_down(self, command: Command) -> None:
        if not await self._guest.power_down(command, POWER_DOWN_TIMEOUT):
            _log.warning("%s ignores the power button; it is switched off", self.name)
            await self._guest.switch_off()

    # -- delayed stops ----------------------------------------------------------------------------

    def schedule_stop(self, minutes: int) -> None:
        """Also tells who is logged in; a guest that can't is no reason to fail. Nothing to do for
        one that does not run. Raises WrongState."""
        self.check(transitions.STOP)
        if not self._guest.on:
            return
        self._tasks.spawn(self._announce(self.delayed_stop.schedule(minutes)))

    async def _announce(self, command: str) -> None:
        with suppress(GuestSilent, RpcError):
            await self.execute(command, PROBE_SECONDS)

    def stop_if_due(self) -> None:
        """A delayed stop stays written down until it is done. Never fails."""
        if self._guest.on and self.delayed_stop.within(0) and not self._lock.locked():
            self._tasks.spawn(self._stop_now())

    async def _stop_now(self) -> None:
        try:
            await self._stop()
        except RpcError as error:
            _log.warning("the delayed stop of %s failed: %s", self.name, error.message)

    def check(self, command: Command) -> None:
        """Asked before the lock is taken, to answer at once, and again after that. Raises
        NoSuchInstance, InstanceDeleted, WrongState."""
        if self._stored.purged:
            raise NoSuchInstance(self.name)
        command.check(self.name, self.state, unattended=self._guest.unattended)
        if self._guest.on:
            self._attachments.check(command)

    # -- the record -------------------------------------------------------------------------------

    def change(self, **fields: object) -> None:
        """Change fields of its record. Raises StorageFailed."""
        self._stored.change(**fields)

    def put(self, record: Record) -> None:
        """The same with a whole record of this instance."""
        self._stored.put(record)

    @asynccontextmanager
    async def held(self, command: Command = transitions.MODIFY) -> AsyncIterator[None]:
        """Held for a command, it can't be started. Raises WrongState, at once, in a state that
        refuses the command: one that needs a stopped instance refuses all others."""
        self.check(command)
        async with self._lock:
            self.check(command)
            yield

    async def grow_disk(self, size: int) -> None:
        """The caller holds it. Raises DriverError, StorageFailed."""
        await self.snapshots.reconcile()
        await self._driver.grow(self.machine, size)
        self._stored.change(disk=size)

    def retire(self) -> None:
        """Another object stands for it from now on: what still waits for this one fails."""
        self._stored.purged = True
        self.close()

    def close(self) -> None:
        """The daemon goes; the machine stays."""
        self._guest.close()
