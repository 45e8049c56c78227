"""One instance: what may be done to it, one thing after the other."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from multipassd.drivers.interface import Driver, DriverError, Machine
from multipassd.instances.guests.guest_ssh import Endpoint, GuestSilent
from multipassd.instances.guests.reachability import PROBE_SECONDS, START_TIMEOUT
from multipassd.instances.guests.running_guest import Presence, State
from multipassd.instances.records.kept_record import KeptRecord
from multipassd.instances.records.record import Phase, Record
from multipassd.instances.records.registry import Registry
from multipassd.instances.states import transitions
from multipassd.instances.states.errors import NoSuchInstance
from multipassd.instances.states.transitions import Rule
from multipassd.network.interface import Networking
from multipassd.system import boot_id, log
from multipassd.system.background import Tasks
from protocol.errors import RpcError, StorageFailed

POWER_DOWN_TIMEOUT = 120.0  # then the guest ignores the power button, and is switched off
REACH_AGAIN = 5.0  # seconds between attempts at a machine that runs and does not answer us

_log = log.get("instances")


class Instance:
    """Starting, stopping and the like go on to their end when whoever asked for them goes away: a
    transition that nobody completes would be worse than one that nobody waits for.
    """

    def __init__(
        self,
        record: Record,
        registry: Registry,
        driver: Driver,
        networking: Networking,
        key: Path,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is told when the state may have changed."""
        self._tasks = Tasks()
        self._kept = KeptRecord(record, registry, changed)
        self._presence = Presence(self._kept, driver, networking, key, self._tasks.spawn, changed)
        self.awaited = self._presence.awaited  # for a client that starts it and then waits
        self._driver = driver
        self._networking = networking
        self._lock = asyncio.Lock()  # of what changes the machine

    @property
    def record(self) -> Record:
        return self._kept.record

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def state(self) -> int:
        return self._presence.state

    @property
    def running(self) -> bool:
        """As far as addresses, figures and logging in go."""
        return self.state in transitions.RUNNING

    @property
    def busy(self) -> bool:
        """Something that a daemon must not leave alone."""
        return self._presence.busy or self._lock.locked()

    @property
    def machine(self) -> Machine:
        return self._presence.machine

    def endpoint(self) -> Endpoint:
        """Where its SSH is. Raises NotRunning."""
        return self._presence.endpoint()

    def addresses(self) -> list[str]:
        return self._networking.addresses(self.record.cards) if self.running else []

    async def trouble(self) -> str:
        """What keeps it from running or answering, in a sentence; empty where nothing does."""
        return await self._presence.trouble()

    async def execute(self, command: str, seconds: float) -> str:
        """Run a command in the guest. Raises GuestSilent, NotRunning, DriverError."""
        return await self._presence.execute(command, seconds)

    async def wait(self, seconds: float = START_TIMEOUT, *, initialised: bool = False) -> None:
        """Until SSH answers and, if asked, cloud-init is done. Raises TimedOut, DriverError."""
        await self._presence.wait(seconds, initialised=initialised)

    # -- starting ---------------------------------------------------------------------------------

    async def reattach(self, *, again: bool = False) -> None:
        """Find the guest that an earlier daemon started, if it still runs. Never fails."""
        async with self._lock:
            if again and (self.state != State.UNKNOWN or self._kept.gone):
                return  # whoever had the lock has ended just that
            try:
                if await self._presence.find():
                    return
            except DriverError as error:
                if not again:
                    _log.warning("%s", error.message)
                self._presence.set(State.UNKNOWN)
                self._tasks.spawn(self._reach_again())
                return
            if self.record.phase is Phase.RUNNING and self.record.boot != boot_id.current():
                self._tasks.spawn(self._start_again())
                return
            self._tasks.spawn(self._unplug())
            why = "" if self.record.phase is Phase.SUSPENDED else "it ended while nobody watched"
            with suppress(StorageFailed):
                resting = await self._presence.resting()
                self._kept.change(phase=resting, stop_at=0.0, ended_because=why)

    async def _unplug(self) -> None:
        """What was set up on the host for one that ended while nobody watched. Never fails."""
        async with self._lock:
            if self._presence.guest is None:
                with suppress(Exception):
                    await self._networking.detach(self.record.cards)

    async def _start_again(self) -> None:
        """As it ran until the host went down. Never fails."""
        _log.info("%s ran before the host was booted, and is started again", self.name)
        try:
            await self.start()
        except RpcError as error:
            _log.warning("%s can't be started again: %s", self.name, error.message)
            with suppress(StorageFailed):
                self._kept.change(phase=await self._presence.resting(), ended_because=error.message)

    async def _reach_again(self) -> None:
        await asyncio.sleep(REACH_AGAIN)
        await self.reattach(again=True)

    async def start(self) -> None:
        """Returns once the machine runs; `wait` tells when it answers. Nothing to do if it does."""
        self._allowed(transitions.START)
        await self._tasks.complete(self._start())

    async def _start(self) -> None:
        async with self._lock:
            self._allowed(transitions.START)
            if self._presence.guest is None:
                await self._presence.boot(State.STARTING)
            elif self.running:  # one that comes up is started by `exec`, which is to cancel nothing
                self.cancel_stop()

    # -- ending -----------------------------------------------------------------------------------

    async def stop(self, *, force: bool = False) -> None:
        """By force: off at once, whatever it does; a suspended state is dropped."""
        if force:
            await self._tasks.complete(self._force_stop())
        else:
            self._allowed(transitions.STOP)
            await self._tasks.complete(self._stop())

    async def _stop(self) -> None:
        async with self._lock:
            self._allowed(transitions.STOP)
            await self._power_down()

    async def _force_stop(self) -> None:
        await self._presence.kill()  # whoever holds the lock waits for this guest in vain
        async with self._lock:
            self._allowed(transitions.FORCE)
            await self._presence.switch_off()
            await self._driver.forget_suspended(self.machine)
            self._kept.change(phase=Phase.STOPPED, stop_at=0.0)
            self._presence.set(None)

    def may_restart(self) -> None:
        """Raises WrongState."""
        self._allowed(transitions.RESTART)

    async def restart(self) -> None:
        await self._tasks.complete(self._restart())

    async def _restart(self) -> None:
        async with self._lock:
            self._allowed(transitions.RESTART)
            self._presence.set(State.RESTARTING)
            await self._power_down()
            await self._presence.boot(State.RESTARTING)

    async def suspend(self) -> None:
        """Nothing to do for one that is stopped or suspended."""
        self._allowed(transitions.SUSPEND)
        await self._tasks.complete(self._suspend())

    async def _suspend(self) -> None:
        async with self._lock:
            self._allowed(transitions.SUSPEND)
            guest = self._presence.guest
            if guest is None:
                return
            self._presence.expects_end = True
            self._presence.set(State.SUSPENDING)
            try:
                await guest.suspend()
                await self._presence.switch_off()
            finally:
                self._presence.expects_end = False
                self._presence.set(None)
                if not self.running:
                    self._kept.change(phase=await self._presence.resting(), stop_at=0.0)

    async def delete(self) -> None:
        """Put it away, stopped; a suspended one keeps its state. Raises WrongState."""
        await self._tasks.complete(self._delete())

    async def _delete(self) -> None:
        async with self._lock:
            self._allowed(transitions.DELETE)
            await self._power_down()
            self._kept.change(deleted=True)

    async def purge(self) -> None:
        """Gone for good: first the record, then the machine, then the files."""
        await self._tasks.complete(self._purge())

    async def _purge(self) -> None:
        await self._presence.kill()  # whoever holds the lock waits for this guest in vain
        async with self._lock:
            if self._kept.gone:
                return
            self._kept.remove()
            await self._presence.switch_off()
            with suppress(Exception):  # it is gone all the same
                await self._networking.release(self.record.cards)
            await asyncio.to_thread(self._kept.remove_files)

    async def _power_down(self) -> None:
        if not await self._presence.power_down(POWER_DOWN_TIMEOUT):
            _log.warning("%s ignores the power button; it is switched off", self.name)
            await self._presence.switch_off()

    # -- delayed stops ----------------------------------------------------------------------------

    def schedule_stop(self, minutes: int) -> None:
        """Also tells who is logged in; a guest that can't is no reason to fail. Nothing to do for
        one that does not run. Raises WrongState."""
        self._allowed(transitions.STOP)
        if not self._presence.on:
            return
        self._kept.change(stop_at=time.time() + 60 * minutes)
        text = f"The system is going down for poweroff in {minutes} minutes"
        self._tasks.spawn(self._announce(f"wall {shlex.quote(text)}"))

    async def _announce(self, command: str) -> None:
        with suppress(GuestSilent, RpcError):
            await self.execute(command, PROBE_SECONDS)

    def stops_within(self, seconds: float) -> bool:
        return bool(self.record.stop_at) and self.record.stop_at - time.time() < seconds

    def stop_if_due(self) -> None:
        """A delayed stop stays written down until it is done. Never fails."""
        if self._presence.on and self.stops_within(0) and not self._lock.locked():
            self._tasks.spawn(self._stop_now())

    async def _stop_now(self) -> None:
        try:
            await self._stop()
        except RpcError as error:
            _log.warning("the delayed stop of %s failed: %s", self.name, error.message)

    def cancel_stop(self) -> None:
        if self.record.stop_at:
            self._kept.change(stop_at=0.0)

    def _allowed(self, rule: Rule) -> None:
        """Asked before the lock, to answer at once, and again when it is ours."""
        if self._kept.gone:
            raise NoSuchInstance(self.name)
        rule.check(self.name, self.state, unattended=self._presence.unattended)

    # -- the record -------------------------------------------------------------------------------

    def change(self, **fields: object) -> None:
        """Change what is kept of it. Raises StorageFailed."""
        self._kept.change(**fields)

    @asynccontextmanager
    async def held_stopped(self) -> AsyncIterator[None]:
        """Nobody can start it meanwhile. Raises WrongState, at once, if it is not stopped."""
        self._allowed(transitions.MODIFY)
        async with self._lock:
            self._allowed(transitions.MODIFY)
            yield

    async def grow_disk(self, size: int) -> None:
        """To be held stopped meanwhile. Raises DriverError, StorageFailed."""
        await self._driver.grow(self.machine, size)
        self._kept.change(disk=size)

    def close(self) -> None:
        """The daemon goes; the machine stays."""
        self._presence.close()
