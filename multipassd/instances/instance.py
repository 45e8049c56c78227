"""One instance: what it does now, and starting, stopping, suspending it."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from multipassd import bootid, log
from multipassd.drivers.driver import Driver, DriverError, Guest, Link, Machine
from multipassd.instances import guest as ssh
from multipassd.instances import refusals
from multipassd.instances.errors import (
    NoSuchInstance,
    NotRunning,
    TimedOut,
)
from multipassd.instances.record import Phase, Record
from multipassd.instances.registry import Registry
from multipassd.network.networking import Networking
from protocol.errors import RpcError, StorageFailed
from protocol.messages.common import InstanceStatus

State = InstanceStatus.Status

START_TIMEOUT = 300.0  # seconds until SSH answers; an emulated guest needs minutes
POWER_DOWN_TIMEOUT = 120.0  # then the guest ignores the power button, and is switched off
SWITCH_OFF_SECONDS = 15.0  # from being switched off to being seen to have ended
PROBE_INTERVAL = 0.5
PROBE_SECONDS = 15.0  # one attempt to log in
CONSOLE_LINES, CONSOLE_LIMIT = 10, 1000  # of a silent guest's console that the log gets
REACH_AGAIN = 5.0  # seconds between attempts at a machine that runs and does not answer us

# Cloud-init writes this when the first boot's work is done.
FINISHED = "test -e /var/lib/cloud/instance/boot-finished"
NOTHING = "true"

_log = log.get("instances")


class Instance:
    """Its state is that of the machine, known from the driver, and of what is being done to it.

    Starting, stopping and the like go on to their end when whoever asked for them goes away: a
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
        self.record = record
        self._registry = registry
        self._driver = driver
        self._networking = networking
        self._key = key
        self._changed = changed  # told when the state may have changed
        self._guest: Guest | None = None
        self._doing: int | None = None  # a transition under way
        self._lock = asyncio.Lock()  # of what changes the machine
        self._watcher: asyncio.Task[None] | None = None
        self._answering: asyncio.Task[None] | None = None
        self._answered = False  # somebody could log in since it started
        self._expected_end = False
        self._gone = False  # purged: nothing of it may come back
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def state(self) -> int:
        if self.record.deleted:
            return State.DELETED
        if self._doing is not None:
            return self._doing
        if self._guest is not None:
            return State.DELAYED_SHUTDOWN if self.record.stop_at else State.RUNNING
        return State.SUSPENDED if self.record.phase is Phase.SUSPENDED else State.STOPPED

    @property
    def running(self) -> bool:
        """As far as addresses, figures and logging in go."""
        return self.state in refusals.RUNNING

    @property
    def busy(self) -> bool:
        """Something that a daemon must not leave alone."""
        return self._guest is not None or self._doing is not None or self._lock.locked()

    @property
    def machine(self) -> Machine:
        return self._machine_with(self._networking.links(self.record))

    def endpoint(self) -> ssh.Endpoint:
        """Where its SSH is. Raises NotRunning."""
        if self._guest is None:
            raise NotRunning(self.name)
        host, port = self._networking.endpoint(self.record)
        return ssh.Endpoint(self.name, host, port, self.record.host_key)

    def addresses(self) -> list[str]:
        return self._networking.addresses(self.record) if self.running else []

    async def execute(self, command: str, seconds: float) -> str:
        """Run a command in the guest. Raises GuestSilent, NotRunning, DriverError."""
        return await ssh.run(self.endpoint(), self._key, command, seconds)

    # -- starting ---------------------------------------------------------------------------------

    async def reattach(self) -> None:
        """Find the guest that an earlier daemon started, if it still runs. Never fails."""
        async with self._lock:
            try:
                found = await self._driver.find(self.machine)
            except DriverError as error:
                _log.warning("%s", error.message)
                self._set(State.UNKNOWN)
                self._spawn(self._reach_again())
                return
            self._set(None)
            if found is not None:
                _log.info("%s runs already", self.name)
                self._own(found)
                self._begin_answering(State.STARTING)
                return
            if self.record.phase is Phase.RUNNING and self.record.boot != bootid.current():
                self._spawn(self._start_again())
                return
            why = "" if self.record.phase is Phase.SUSPENDED else "it ended while nobody watched"
            with suppress(StorageFailed):
                self._keep(phase=await self._resting(), stop_at=0.0, ended_because=why)

    async def _start_again(self) -> None:
        """As it ran until the host went down. Never fails."""
        _log.info("%s ran before the host was booted, and is started again", self.name)
        try:
            await self.start()
        except RpcError as error:
            _log.warning("%s can't be started again: %s", self.name, error.message)
            with suppress(StorageFailed):
                self._keep(phase=await self._resting(), ended_because=error.message)

    async def _reach_again(self) -> None:
        await asyncio.sleep(REACH_AGAIN)
        if self.state == State.UNKNOWN:
            await self.reattach()

    async def start(self) -> None:
        """Returns once the machine runs; `wait` tells when it answers. Nothing to do if it does."""
        self._allowed(refusals.start)
        await self._through(self._start())

    async def _start(self) -> None:
        async with self._lock:
            self._allowed(refusals.start)
            if self._guest is not None:
                self.cancel_stop()
            else:
                await self._boot(State.STARTING)

    async def _boot(self, doing: int) -> None:
        before = self.record
        self._set(doing)
        try:
            self.record = self._networking.prepared(self.record)
            # Written down first: if the daemon is killed now, its next start looks for the machine.
            self._keep(phase=Phase.RUNNING, boot=bootid.current(), stop_at=0.0, ended_because="")
            links = await self._networking.attach(self.record)
            guest = await self._driver.start(self._machine_with(links))
        except Exception:
            with suppress(Exception):
                await self._networking.detach(self.record)
            with suppress(StorageFailed):
                self._keep(phase=before.phase, ended_because=before.ended_because)
            self._set(None)
            raise
        self._own(guest)
        self._begin_answering(doing)

    async def wait(self, seconds: float = START_TIMEOUT, *, initialised: bool = False) -> None:
        """Until SSH answers and, if asked, cloud-init is done. Raises TimedOut, DriverError."""
        what = "timed out waiting for response"
        try:
            async with asyncio.timeout(seconds):
                if self._answering is not None:
                    await asyncio.wait({self._answering})
                if not self._answered:
                    await self._until(NOTHING)
                if initialised and not self.record.ready:
                    what = "timed out waiting for initialization to complete"
                    await self._until(FINISHED)
        except TimeoutError:
            stalled = self._guest.stalled if self._guest is not None else ""
            raise TimedOut(f"{self.name}: {what}" + (f"; {stalled}" if stalled else "")) from None
        self._raise_if_ended()
        if initialised and not self.record.ready:
            self._keep(ready=True)

    async def _until(self, command: str) -> None:
        """Until it succeeds in the guest, or the guest ends."""
        while self._guest is not None:
            try:
                await self.execute(command, PROBE_SECONDS)
                return
            except (ssh.GuestSilent, NotRunning):
                await asyncio.sleep(PROBE_INTERVAL)

    def _raise_if_ended(self) -> None:
        if self._guest is None:
            why = self.record.ended_because or "it was stopped"
            raise DriverError(f"{self.name}: the instance ended while it was waited for: {why}")

    # -- ending -----------------------------------------------------------------------------------

    async def stop(self, *, force: bool = False) -> None:
        """By force: off at once, whatever it does; a suspended state is dropped."""
        if force:
            await self._begin_ending()
            await self._through(self._force_stop())
        else:
            self._allowed(refusals.stop)
            await self._through(self._stop())

    async def _stop(self) -> None:
        async with self._lock:
            self._allowed(refusals.stop)
            await self._power_down()

    async def _force_stop(self) -> None:
        async with self._lock:
            self._allowed(refusals.nothing)
            await self._switch_off()
            await self._driver.forget_suspended(self.machine)
            self._keep(phase=Phase.STOPPED, stop_at=0.0)
            self._set(None)

    async def restart(self) -> None:
        self._allowed(refusals.restart)
        await self._through(self._restart())

    async def _restart(self) -> None:
        async with self._lock:
            self._allowed(refusals.restart)
            self._set(State.RESTARTING)
            await self._power_down()
            await self._boot(State.RESTARTING)

    async def suspend(self) -> None:
        """Nothing to do for one that is stopped or suspended."""
        self._allowed(refusals.suspend)
        await self._through(self._suspend())

    async def _suspend(self) -> None:
        async with self._lock:
            self._allowed(refusals.suspend)
            guest = self._guest
            if guest is None:
                return
            self._expected_end = True
            self._set(State.SUSPENDING)
            try:
                await guest.suspend()
                await self._switch_off()
            finally:
                self._expected_end = False
                self._set(None)
                if not self.running:
                    self._keep(phase=await self._resting(), stop_at=0.0)

    async def delete(self) -> None:
        """Put it away, stopped; a suspended one keeps its state. Raises WrongState."""
        await self._through(self._delete())

    async def _delete(self) -> None:
        async with self._lock:
            self._allowed(refusals.delete)
            await self._power_down()
            self._keep(deleted=True)

    async def purge(self) -> None:
        """Gone for good: first the record, then the machine, then the files."""
        await self._begin_ending()
        await self._through(self._purge())

    async def _purge(self) -> None:
        async with self._lock:
            if self._gone:
                return
            self._registry.remove(self.name)
            self._gone = True
            await self._switch_off()
            with suppress(Exception):  # it is gone all the same
                await self._networking.forget(self.record)
            await asyncio.to_thread(self._registry.remove_files, self.name)

    async def _begin_ending(self) -> None:
        """Whoever holds the lock meanwhile waits for this guest in vain."""
        self._expected_end = True
        if self._guest is not None:
            await self._guest.kill()

    async def _power_down(self) -> None:
        if self._guest is None:
            return
        self._expected_end = True
        await self._guest.power_down()
        if not await self._ends_within(POWER_DOWN_TIMEOUT):
            _log.warning("%s ignores the power button; it is switched off", self.name)
            await self._switch_off()

    async def _switch_off(self) -> None:
        self._expected_end = True
        if self._guest is not None:
            await self._guest.kill()
            await self._ends_within(SWITCH_OFF_SECONDS)
        await self._driver.clear(self.name)  # also one that does not listen
        await self._ends_within(SWITCH_OFF_SECONDS)

    async def _resting(self) -> Phase:
        suspended = await self._driver.suspended(self.machine)
        return Phase.SUSPENDED if suspended else Phase.STOPPED

    # -- delayed stops ----------------------------------------------------------------------------

    def schedule_stop(self, minutes: int) -> None:
        """Also tells who is logged in; a guest that can't is no reason to fail."""
        self._keep(stop_at=time.time() + 60 * minutes)
        text = f"The system is going down for poweroff in {minutes} minutes"
        self._spawn(self._announce(f"wall {shlex.quote(text)}"))

    async def _announce(self, command: str) -> None:
        with suppress(ssh.GuestSilent, RpcError):
            await self.execute(command, PROBE_SECONDS)

    def stops_within(self, seconds: float) -> bool:
        return bool(self.record.stop_at) and self.record.stop_at - time.time() < seconds

    def stop_if_due(self) -> None:
        """A delayed stop stays written down until it is done. Never fails."""
        if self.running and self.stops_within(0) and not self._lock.locked():
            self._spawn(self._stop_now())

    async def _stop_now(self) -> None:
        try:
            await self._stop()
        except RpcError as error:
            _log.warning("the delayed stop of %s failed: %s", self.name, error.message)

    def cancel_stop(self) -> None:
        if self.record.stop_at:
            self._keep(stop_at=0.0)

    def _allowed(self, rule: Callable[[str, int], None]) -> None:
        """Asked before the lock, to answer at once, and again when it is ours."""
        if self._gone:
            raise NoSuchInstance(self.name)
        rule(self.name, self.state)

    # -- the record -------------------------------------------------------------------------------

    def change(self, **fields: object) -> None:
        """Change what is kept of it. Raises StorageFailed."""
        self._keep(**fields)

    @asynccontextmanager
    async def held_stopped(self) -> AsyncIterator[None]:
        """Nobody can start it meanwhile. Raises WrongState, at once, if it is not stopped."""
        self._allowed(refusals.modify)
        async with self._lock:
            self._allowed(refusals.modify)
            yield

    async def grow_disk(self, size: int) -> None:
        """To be held stopped meanwhile. Raises DriverError, StorageFailed."""
        await self._driver.grow(self.machine, size)
        self._keep(disk=size)

    def _keep(self, **fields: object) -> None:
        changed = self.record.model_copy(update=fields)
        if changed != self.record and not self._gone:
            self._registry.put(changed)
            self.record = changed
        self._changed()

    def _set(self, doing: int | None) -> None:
        self._doing = doing
        self._changed()

    def _machine_with(self, links: tuple[Link, ...]) -> Machine:
        record, place = self.record, self._registry.place(self.name)
        return Machine(record.name, place, record.cpus, record.memory, record.hardware, links)

    # -- tasks ------------------------------------------------------------------------------------

    async def _through(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """The daemon goes; the machine stays."""
        for task in (self._watcher, self._answering):
            if task is not None:
                task.cancel()
        if self._guest is not None:
            self._guest.close()

    def _own(self, guest: Guest) -> None:
        self._guest = guest
        self._answered = self._expected_end = False
        self._watcher = self._spawn(self._watch(guest))

    def _begin_answering(self, doing: int) -> None:
        """It counts as starting until somebody can log in."""
        self._set(doing)
        self._answering = self._spawn(self._answer())

    async def _answer(self) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._until(NOTHING)
                self._answered = self._guest is not None
        except TimeoutError:
            await self._report_silence()
        except RpcError as error:
            _log.warning("%s can't be reached: %s", self.name, error.message)
        finally:
            if self._doing in refusals.COMING_UP:
                self._set(None)

    async def _report_silence(self) -> None:
        printed = await self._guest.console() if self._guest is not None else ""
        lines = ["".join(filter(str.isprintable, line)) for line in printed.splitlines()]
        end = " | ".join(lines[-CONSOLE_LINES:])[-CONSOLE_LIMIT:]
        _log.warning(
            "%s did not answer within %.0f s; the end of its console: %s",
            self.name, START_TIMEOUT, end or "empty",
        )  # fmt: skip

    async def _watch(self, guest: Guest) -> None:
        reason = await guest.ended()
        self._guest = None
        if self._answering is not None:
            self._answering.cancel()
        if self._doing in refusals.COMING_UP and not self._expected_end:
            self._doing = None
        with suppress(Exception):
            await self._networking.detach(self.record)
        kept = "" if self._expected_end else reason
        if kept:
            _log.warning("%s ended: %s", self.name, kept)
        if self._doing != State.SUSPENDING:
            with suppress(StorageFailed):  # the log has it, and the next start finds out
                self._keep(phase=Phase.STOPPED, stop_at=0.0, ended_because=kept)
        self._changed()

    async def _ends_within(self, seconds: float) -> bool:
        if self._watcher is None:
            return True
        done, _ = await asyncio.wait({self._watcher}, timeout=seconds)
        return bool(done)
