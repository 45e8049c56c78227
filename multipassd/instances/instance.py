"""One instance: what it does now, and starting, stopping, suspending it."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from multipassd import log
from multipassd.drivers.driver import Driver, DriverError, Guest, Hardware, Link, Machine
from multipassd.instances import guest as ssh
from multipassd.instances.errors import NotRunning, TimedOut, WrongState
from multipassd.instances.record import Phase, Record
from multipassd.instances.registry import Registry
from multipassd.network.networking import Networking
from protocol.errors import RpcError
from protocol.messages.common import InstanceStatus

State = InstanceStatus.Status

START_TIMEOUT = 300.0  # seconds until SSH answers; an emulated guest needs minutes
POWER_DOWN_TIMEOUT = 120.0  # then the guest ignores the power button, and is switched off
PROBE_INTERVAL = 0.5
PROBE_SECONDS = 15.0  # one attempt to log in

# Cloud-init writes this when the first boot's work is done.
FINISHED = "test -e /var/lib/cloud/instance/boot-finished"

_log = log.get("instances")


class Instance:
    """Its state is that of the machine, known from the driver, and of what is being done to it."""

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
        self._expected_end = False

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
        return self.state in (State.RUNNING, State.DELAYED_SHUTDOWN)

    @property
    def busy(self) -> bool:
        """Something that a daemon must not leave alone."""
        return self._guest is not None or self._doing is not None

    @property
    def machine(self) -> Machine:
        return machine_of(self.record, self._registry.place(self.name), self._links())

    def endpoint(self) -> ssh.Endpoint:
        """Where its SSH is. Raises NotRunning."""
        if self._guest is None:
            raise NotRunning(self.name)
        host, port = self._networking.endpoint(self.record)
        return ssh.Endpoint(self.name, host, port, self.record.host_key)

    def addresses(self) -> list[str]:
        return self._networking.addresses(self.record) if self.running else []

    async def execute(self, command: str, seconds: float) -> str:
        """Run a command in the guest. Raises GuestSilent, NotRunning."""
        return await ssh.run(self.endpoint(), self._key, command, seconds)

    # -- the machine ------------------------------------------------------------------------------

    async def reattach(self) -> None:
        """Find the guest that an earlier daemon started, if it still runs."""
        async with self._lock:
            found = await self._driver.find(self.machine)
            if found is not None:
                _log.info("%s runs already", self.name)
                self._own(found)
                self._begin_answering(State.STARTING)
            elif self.record.phase is Phase.RUNNING:
                with suppress(RpcError):
                    await self._networking.detach(self.record)
                self._keep(phase=Phase.STOPPED, ended_because="it ended while nobody watched")

    async def start(self) -> None:
        """Returns once the machine runs; `wait` tells when it answers. Nothing to do if it does."""
        if self._doing is State.SUSPENDING:
            raise WrongState(f"Cannot start the instance '{self.name}' while suspending.")
        async with self._lock:
            if self._guest is not None:
                self.cancel_stop()
                return
            await self._start(State.STARTING)

    async def _start(self, doing: int) -> None:
        self._set(doing)
        try:
            self.record = self._networking.prepared(self.record)
            links = await self._networking.attach(self.record)
            place = self._registry.place(self.name)
            guest = await self._driver.start(machine_of(self.record, place, links))
        except BaseException:
            self._set(None)
            with suppress(Exception):
                await self._networking.detach(self.record)
            raise
        self._own(guest)
        self._keep(phase=Phase.RUNNING, stop_at=0.0, ended_because="")
        self._begin_answering(doing)

    async def wait(self, seconds: float = START_TIMEOUT, *, initialised: bool = False) -> None:
        """Until SSH answers and, if asked, cloud-init is done. Raises TimedOut, DriverError."""
        deadline = time.monotonic() + seconds
        what = "timed out waiting for response"
        try:
            async with asyncio.timeout(seconds):
                if self._answering is not None:
                    await asyncio.shield(self._answering)
                self._raise_if_ended()
                if initialised and not self.record.ready:
                    what = "timed out waiting for initialization to complete"
                    await self._until(FINISHED, deadline)
        except TimeoutError:
            raise TimedOut(f"{self.name}: {what}") from None
        self._raise_if_ended()
        if initialised and not self.record.ready:
            self._keep(ready=True)

    async def _until(self, command: str, deadline: float) -> None:
        while self._guest is not None and time.monotonic() < deadline:
            try:
                await self.execute(command, PROBE_SECONDS)
                return
            except (ssh.GuestSilent, NotRunning):
                await asyncio.sleep(PROBE_INTERVAL)

    def _raise_if_ended(self) -> None:
        if self._guest is None:
            why = self.record.ended_because or "it was stopped"
            raise DriverError(f"{self.name}: the instance ended while it was waited for: {why}")

    async def stop(self, *, force: bool = False) -> None:
        if force:
            await self._force_stop()
            return
        self._refuse_stop()
        async with self._lock:
            guest = self._guest
            if guest is None:
                return
            self._expected_end = True
            await guest.power_down()
            if not await self._ends_within(POWER_DOWN_TIMEOUT):
                _log.warning("%s ignores the power button; it is switched off", self.name)
                await guest.kill()
                await self._ends_within(PROBE_SECONDS)

    def _refuse_stop(self) -> None:
        reasons = {
            State.SUSPENDED: f"Cannot shut down suspended instance {self.name}.",
            State.SUSPENDING: f"Cannot shut down instance {self.name} while suspending.",
            State.STARTING: f"Cannot shut down instance {self.name} while starting.",
            State.RESTARTING: f"Cannot shut down instance {self.name} while starting.",
        }
        if why := reasons.get(self.state):
            raise WrongState(why)

    async def _force_stop(self) -> None:
        """Off at once, whatever it does; a suspended state is dropped."""
        if self._guest is not None:
            self._expected_end = True
            await self._guest.kill()
            await self._ends_within(PROBE_SECONDS)
        async with self._lock:
            await self._driver.clear(self.name)
            await self._driver.forget_suspended(self.machine)
            self._keep(phase=Phase.STOPPED, stop_at=0.0)

    async def restart(self) -> None:
        if not self.running:
            raise WrongState(
                f"Instance '{self.name}' is already running, but in an unknown state.\n"
                "Try to stop and start it instead."
            )
        await self.stop()
        async with self._lock:
            if self._guest is None:
                await self._start(State.RESTARTING)

    async def suspend(self) -> None:
        """Nothing to do for one that is stopped or suspended."""
        if self.state is State.STARTING:
            raise WrongState(f"Cannot suspend instance {self.name} while starting.")
        async with self._lock:
            if self._guest is None:
                return
            self._expected_end = True
            self._set(State.SUSPENDING)
            try:
                await self._guest.suspend()
                await self._ends_within(POWER_DOWN_TIMEOUT)
                self._keep(phase=Phase.SUSPENDED, stop_at=0.0)
            finally:
                self._expected_end = False
                self._set(None)

    def refuse_end(self) -> None:
        """Raises WrongState for one that can't be ended now, whatever is to become of it."""
        if self.state in (State.STARTING, State.RESTARTING, State.SUSPENDING):
            self._refuse_stop()

    async def end(self) -> None:
        """Stop it if it runs; a suspended one keeps its state. Raises WrongState."""
        self.refuse_end()
        if self.running:
            await self.stop()

    def schedule_stop(self, at: float) -> None:
        self._keep(stop_at=at)

    def stops_within(self, seconds: float) -> bool:
        return bool(self.record.stop_at) and self.record.stop_at - time.time() < seconds

    async def announce_stop(self, minutes: int) -> None:
        """Tell who is logged in; a guest that can't is no reason to fail."""
        text = f"The system is going down for poweroff in {minutes} minutes"
        with suppress(ssh.GuestSilent, NotRunning):
            await self.execute(f"wall {shlex.quote(text)}", PROBE_SECONDS)

    def cancel_stop(self) -> None:
        if self.record.stop_at:
            self._keep(stop_at=0.0)

    # -- the record -------------------------------------------------------------------------------

    def change(self, **fields: object) -> None:
        """Change what is kept of it. Raises OSError."""
        self._keep(**fields)

    @asynccontextmanager
    async def held_stopped(self) -> AsyncIterator[None]:
        """Nobody can start it meanwhile. Raises WrongState, at once, if it is not stopped."""
        self._refuse_modification()
        async with self._lock:
            self._refuse_modification()
            yield

    def _refuse_modification(self) -> None:
        if self.state is not State.STOPPED:
            raise WrongState("Instance must be stopped for modification")

    async def grow_disk(self, size: int) -> None:
        """To be held stopped meanwhile. Raises DriverError, OSError."""
        await self._driver.grow(self.machine, size)
        self._keep(disk=size)

    def close(self) -> None:
        """The daemon goes; the machine stays."""
        for task in (self._watcher, self._answering):
            if task is not None:
                task.cancel()
        if self._guest is not None:
            self._guest.close()

    def _keep(self, **fields: object) -> None:
        changed = self.record.model_copy(update=fields)
        if changed != self.record:
            self._registry.put(changed)
            self.record = changed
        self._changed()

    def _set(self, doing: int | None) -> None:
        self._doing = doing
        self._changed()

    def _links(self) -> tuple[Link, ...]:
        return self._networking.links(self.record)

    # -- watching ---------------------------------------------------------------------------------

    def _own(self, guest: Guest) -> None:
        self._guest = guest
        self._expected_end = False
        self._watcher = asyncio.get_running_loop().create_task(self._watch(guest))

    def _begin_answering(self, doing: int) -> None:
        """It counts as starting until somebody can log in."""
        self._set(doing)
        self._answering = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        try:
            await self._until("true", time.monotonic() + START_TIMEOUT)
        finally:
            if self._doing in (State.STARTING, State.RESTARTING):
                self._set(None)

    async def _watch(self, guest: Guest) -> None:
        reason = await guest.ended()
        self._guest = None
        if self._answering is not None:
            self._answering.cancel()
        if reason and not self._expected_end:
            _log.warning("%s ended: %s", self.name, reason)
        with suppress(Exception):
            await self._networking.detach(self.record)
        if self._doing is not State.SUSPENDING:
            self._doing = None
            kept = "" if self._expected_end else reason
            self._keep(phase=Phase.STOPPED, stop_at=0.0, ended_because=kept)
        self._changed()

    async def _ends_within(self, seconds: float) -> bool:
        if self._watcher is None:
            return True
        done, _ = await asyncio.wait([self._watcher], timeout=seconds)
        return bool(done)


def machine_of(record: Record, place: Path, links: tuple[Link, ...]) -> Machine:
    hardware: Hardware = record.hardware
    return Machine(record.name, place, record.cpus, record.memory, hardware, links)
