"""The guest of one instance: its start, its state, its reachability over SSH, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from multipassd.cloudinit.logins import Logins
from multipassd.drivers.interface import Driver, DriverError, Guest, Machine
from multipassd.instances.attachments.attachments import Attachments
from multipassd.instances.guests.guest_connection import GuestConnection
from multipassd.instances.guests.guest_ssh import Endpoint
from multipassd.instances.guests.reachability import FOUND_AT_ONCE, Reachability
from multipassd.instances.guests.settling import Settling
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states import transitions
from multipassd.instances.states.errors import NotRunning
from multipassd.instances.states.machine_state import MachineState
from multipassd.instances.states.state import State, visible
from multipassd.instances.states.transitions import Command, Event
from multipassd.system import boot_id, log
from protocol.errors import RpcError, StorageFailed

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]

SWITCH_OFF_SECONDS = 15.0  # from being switched off to being seen to have ended
PRESS_SECONDS = 10.0  # a guest that is still booting misses what came too early

_turns = asyncio.Semaphore(FOUND_AT_ONCE)
_log = log.get("instances")


class RunningGuest:
    """The machine of one instance, on or off, and its state.

    Any end of the guest is noticed and recorded here. The caller sees to it that one command is
    carried out after the other.
    """

    def __init__(
        self,
        stored: StoredRecord,
        driver: Driver,
        attachments: Attachments,
        key: Path,
        spawn: Spawn,
        logins: Logins | None = None,
    ) -> None:
        """`key`: the first private SSH key that guests accept; `logins`: see `Instance`."""
        self.guest: Guest | None = None
        self.machine_state = MachineState()
        self._stored = stored
        self._driver = driver
        self._attachments = attachments
        self._key = key
        self._logins = logins
        self._spawn = spawn
        self._watcher: asyncio.Task[None] | None = None
        self._clients = 0  # that wait until it answers
        self._reach: Reachability | None = None  # of the last guest
        self._probing: asyncio.Task[None] | None = None
        self.settling = Settling(attachments, self.execute, spawn)

    @property
    def name(self) -> str:
        return self._stored.name

    # -- its state --------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        record = self._stored.record
        return visible(
            self.machine_state.state,
            deleted=record.deleted,
            suspended=record.phase is Phase.SUSPENDED,
            stop_scheduled=bool(record.stop_at),
            stalled=self.guest is not None and bool(self.guest.stalled),
        )

    @property
    def busy(self) -> bool:
        return self.on or self.machine_state.state is not State.STOPPED

    @property
    def on(self) -> bool:
        return self.guest is not None

    @property
    def unattended(self) -> bool:
        """It runs, and no client waits until it answers."""
        return self.on and not self._clients

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """While a client waits for its answer, no other command ends it."""
        self._clients += 1
        try:
            yield
        finally:
            self._clients -= 1

    @property
    def machine(self) -> Machine:
        record, directory = self._stored.record, self._stored.directory
        size = record.cpus, record.memory
        image = record.image.id
        return self._attachments.equip(
            Machine(record.name, directory, *size, record.hardware, (), image)
        )

    def close(self) -> None:
        """The daemon goes; the machine stays."""
        for task in (self._watcher, self._probing):
            if task is not None:
                task.cancel()
        self.settling.end()
        self._attachments.close()
        if self.guest is not None:
            self.guest.close()

    # -- its start --------------------------------------------------------------------------------

    async def find(self) -> bool:
        """Adopt the guest that an earlier daemon started, if it still runs. Raises DriverError
        if it does, but can't be reached."""
        try:
            found = await self._driver.find(self.machine)
        except DriverError:
            self.machine_state.happened(Event.UNREACHABLE)
            raise
        if found is None:
            self.machine_state.happened(Event.NOT_THERE)
            return False
        _log.info("%s runs already", self.name)
        self.machine_state.happened(Event.FOUND)
        self._adopt(found, _turns)
        return True

    async def boot(self, command: Command) -> None:
        """Returns once it runs, or goes on from its suspended state; `wait` waits for its answer.
        Raises RpcError, and then nothing runs."""
        assert self.guest is None  # else this would wait for its end
        await self._ends_within(None)  # else the end of the last one would undo this start
        before = self._stored.record
        self.machine_state.begin_start(command)
        try:
            fields = dict(self._attachments.fields_at_start())
            fields["hardware"] = dict(await self._driver.complete(before.hardware))
            ran = {"phase": Phase.RUNNING, "boot": boot_id.current(), "ended_because": ""}
            # Recorded first: if the daemon is killed now, its next start looks for the machine.
            self._stored.put(before.replace(**(ran | fields)))
            await self._attachments.before_start()
            guest = await self._driver.start(self.machine)
        except Exception:
            await self._attachments.after_end()
            with suppress(StorageFailed):
                self._stored.change(phase=before.phase, ended_because=before.ended_because)
            self.machine_state.happened(Event.NOT_THERE)
            raise
        self._adopt(guest)

    def _adopt(self, guest: Guest, turns: asyncio.Semaphore | None = None) -> None:
        self.guest = guest
        guest.goes_on = self._on_going_on
        guest.reboots = self._on_reboot
        connection = GuestConnection(self._stored, self._attachments.cards, self._key, self._logins)
        self._reach = Reachability(
            self.name,
            guest,
            connection,
            lambda: self.unattended,
            lambda: self.machine_state.happened(Event.SILENT),
            lambda: self.machine_state.happened(Event.ANSWERED),
            turns,
        )
        self._watcher = self._spawn(self._watch(guest, connection))
        self._probing = self._spawn(self._probe(guest, self._reach))
        self.machine_state.started()

    # -- reaching it ------------------------------------------------------------------------------

    def endpoint(self) -> Endpoint:
        """Where its SSH is. Raises NotRunning."""
        return self._running().endpoint()

    async def execute(self, command: str, seconds: float, key: str | None = None, /) -> str:
        """Run a command in the guest. Raises GuestSilent, NotRunning, DriverError."""
        return await self._running().execute(command, seconds, key)

    def _running(self) -> GuestConnection:
        if self._reach is None:
            raise NotRunning(self.name)
        return self._reach.connection

    async def wait(self, seconds: float, *, initialised: bool) -> None:
        """Until SSH answers and, if asked, cloud-init is done. Raises TimedOut, DriverError."""
        reach, probing = self._reach, self._probing
        if reach is None or probing is None:
            raise NotRunning(self.name)
        initialised = initialised and not self._stored.record.ready
        with self.awaited():
            await reach.wait(seconds, probing, initialised=initialised)
            await self.settling.done()
        if reach.connection.over:
            await self._ends_within(SWITCH_OFF_SECONDS)  # then the reason is recorded
            why = self._stored.record.ended_because or "it was stopped"
            raise DriverError(f"{self.name}: the instance ended while it was waited for: {why}")
        if initialised:
            self._stored.change(ready=True)

    async def _probe(self, guest: Guest, reach: Reachability) -> None:
        try:
            await reach.probe()
            if self.guest is guest:
                self.settling.answered(paused=guest.stood_still)
        except RpcError as error:
            _log.warning("%s can't be reached: %s", self.name, error.message)
        finally:
            if self.guest is guest and not reach.silent:
                self.machine_state.happened(Event.ANSWERED)

    def _on_going_on(self) -> None:
        """It was stalled by a full disk. One that has not answered yet is still probed."""
        if self.guest is not None and self._reach is not None and self._reach.answered:
            self.settling.goes_on()

    def _on_reboot(self) -> None:
        """What was mounted is not any more. One that has not answered yet is still probed."""
        reach, probing = self._reach, self._probing
        if self.guest is not None and reach is not None and probing is not None and probing.done():
            self._probing = self._spawn(self._probe(self.guest, reach))

    async def trouble(self) -> str:
        """What keeps it from running or answering, in a sentence; empty where nothing does."""
        if self.guest is None or self._reach is None:
            why = self._stored.record.ended_because
            return f"{self.name} is not running: {why}" if why else ""
        if self._reach.answered and not self.guest.stalled:
            return ""
        return f"{self.name} does not answer; {await self._reach.reason()}"

    # -- its end ----------------------------------------------------------------------------------

    async def power_down(self, command: Command, seconds: float) -> bool:
        """Press the power button; is it off within this time?"""
        if self.guest is None:
            return True
        self.machine_state.begin_end(command)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self.guest is not None and (left := end - loop.time()) > 0:
            with self._going_on_if_refused():
                await self.guest.power_down()
            if await self._ends_within(min(left, PRESS_SECONDS)):
                return True
        return self.guest is None

    @contextmanager
    def _going_on_if_refused(self) -> Iterator[None]:
        try:
            yield
        except DriverError:
            self.machine_state.happened(Event.WENT_ON)
            raise

    async def kill(self) -> None:
        """Switch it off at once, without waiting for its end. Raises DriverError where the driver
        can't; then it runs on."""
        self.machine_state.expect_end()
        if self.guest is not None:
            with self._going_on_if_refused():
                await self.guest.kill()

    async def switch_off(self) -> None:
        """Nothing of it runs when this returns."""
        await self.kill()
        await self._ends_within(SWITCH_OFF_SECONDS)
        await self._driver.clear(self.name)  # also one that does not listen
        await self._ends_within(SWITCH_OFF_SECONDS)

    async def suspend(self) -> None:
        """Save its state and end it; nothing to do for one that is off. Raises DriverError, and
        then it runs on."""
        guest = self.guest
        if guest is None:
            return
        self.machine_state.begin_end(transitions.SUSPEND)
        try:
            await self.settling.before_suspend()
            await guest.suspend()
            await self.switch_off()
        finally:
            if self.on:
                self.machine_state.happened(Event.WENT_ON)
                self._on_going_on()
            else:
                self.machine_state.happened(Event.NOT_THERE)
                self.record_end(await self.resting())

    async def resting(self) -> Phase:
        """The phase of one that does not run."""
        suspended = await self._driver.suspended(self.machine)
        return Phase.SUSPENDED if suspended else Phase.STOPPED

    def record_end(self, phase: Phase, **fields: object) -> None:
        """Record that it does not run. Raises StorageFailed."""
        self._stored.change(phase=phase, **self._attachments.fields_at_end(), **fields)

    async def _ends_within(self, seconds: float | None) -> bool:
        if self._watcher is None:
            return True
        done, _ = await asyncio.wait({self._watcher}, timeout=seconds)
        return bool(done)

    async def _watch(self, guest: Guest, connection: GuestConnection) -> None:
        reason = await guest.ended()
        self.guest = None
        connection.over = True
        if self._probing is not None and not self._probing.done():
            self._probing.cancel()
            self._probing = None
        self.settling.end()
        command = self.machine_state.ended()
        await self._attachments.after_end()
        why = "" if command is not None else reason
        if why:
            _log.warning("%s ended: %s", self.name, why)
        if command is not transitions.SUSPEND:  # which records its end itself
            with suppress(StorageFailed):  # the next start finds out
                self.record_end(Phase.STOPPED, ended_because=why)
