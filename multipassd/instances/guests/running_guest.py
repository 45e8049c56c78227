"""What runs of an instance now: a guest that is watched, and that may answer by and by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from multipassd.drivers.interface import Driver, DriverError, Guest, Link, Machine
from multipassd.instances.guests import guest_clock
from multipassd.instances.guests import guest_ssh as ssh
from multipassd.instances.guests.reachability import NOTHING, Answering
from multipassd.instances.records.kept_record import KeptRecord
from multipassd.instances.records.record import Phase
from multipassd.instances.states import transitions
from multipassd.instances.states.errors import NotRunning, TimedOut
from multipassd.network.interface import Networking, NoAddressYet
from multipassd.system import boot_id, log
from protocol.errors import RpcError, StorageFailed
from protocol.messages.common import InstanceStatus

State = InstanceStatus.Status
Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]

SWITCH_OFF_SECONDS = 15.0  # from being switched off to being seen to have ended
PRESS_SECONDS = 10.0  # a guest that is still booting misses what came too early

# Cloud-init writes this when the first boot's work is done.
FINISHED = "test -e /var/lib/cloud/instance/boot-finished"

_log = log.get("instances")


class Presence:
    """The guest, if there is one, and what is being done to it.

    That a guest ends is noticed here, and written down, whoever or whatever ended it. That one
    thing is done after the other is up to the caller.
    """

    def __init__(
        self,
        kept: KeptRecord,
        driver: Driver,
        networking: Networking,
        key: Path,
        spawn: Spawn,
        changed: Callable[[], None],
    ) -> None:
        self.guest: Guest | None = None
        self.doing: int | None = None  # a transition under way
        self.expects_end = False  # somebody asked for it, so it needs no reason
        self._kept = kept
        self._driver = driver
        self._networking = networking
        self._key = key
        self._spawn = spawn
        self._changed = changed
        self._watcher: asyncio.Task[None] | None = None
        self._clients = 0  # that wait until it answers
        self._answers: Answering | None = None  # of the last guest
        self._answering: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self._kept.name

    @property
    def state(self) -> int:
        record = self._kept.record
        if record.deleted:
            return State.DELETED
        if self.doing is not None:
            return self.doing
        if self.guest is not None and self._stands_still:
            return State.UNKNOWN
        if self.guest is not None:
            return State.DELAYED_SHUTDOWN if record.stop_at else State.RUNNING
        return State.SUSPENDED if record.phase is Phase.SUSPENDED else State.STOPPED

    @property
    def _stands_still(self) -> bool:
        """It does not answer, or waits for room on the host's disk."""
        silent = self._answers is not None and self._answers.silent
        return silent or bool(self.guest and self.guest.stalled)

    @property
    def busy(self) -> bool:
        return self.guest is not None or self.doing is not None

    @property
    def on(self) -> bool:
        return self.guest is not None

    @property
    def unattended(self) -> bool:
        """It runs, and no client waits until it answers."""
        return self.on and not self._clients

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """While a client waits for its answer, nothing is cut short."""
        self._clients += 1
        try:
            yield
        finally:
            self._clients -= 1

    @property
    def machine(self) -> Machine:
        return self._machine_with(self._networking.links(self._kept.record.cards))

    def _machine_with(self, links: tuple[Link, ...]) -> Machine:
        record, place = self._kept.record, self._kept.place
        return Machine(record.name, place, record.cpus, record.memory, record.hardware, links)

    def set(self, doing: int | None) -> None:
        self.doing = doing
        self._changed()

    def close(self) -> None:
        """The daemon goes; the machine stays."""
        for task in (self._watcher, self._answering):
            if task is not None:
                task.cancel()
        if self.guest is not None:
            self.guest.close()

    # -- its start --------------------------------------------------------------------------------

    async def find(self) -> bool:
        """Take up the guest that an earlier daemon started, if it still runs. Raises DriverError
        if it does, but can't be reached."""
        found = await self._driver.find(self.machine)
        self.set(None)
        if found is None:
            return False
        _log.info("%s runs already", self.name)
        self._own(found, State.STARTING)
        return True

    async def boot(self, doing: int) -> None:
        """Returns once it runs, or goes on from its suspended state; `wait` tells when it answers.
        Raises RpcError, and then nothing runs."""
        assert self.guest is None  # else this would wait for its end
        await self._ends_within(None)  # what is undone of the last one is not ours
        before = self._kept.record
        self.set(doing)
        try:
            port = self._networking.ssh_port(before.cards)
            ran = {"phase": Phase.RUNNING, "boot": boot_id.current(), "ssh_port": port}
            # Written down first: if the daemon is killed now, its next start looks for the machine.
            self._kept.put(before.model_copy(update={**ran, "stop_at": 0.0, "ended_because": ""}))
            links = await self._networking.attach(self._kept.record.cards)
            guest = await self._driver.start(self._machine_with(links))
        except Exception:
            with suppress(Exception):
                await self._networking.detach(self._kept.record.cards)
            with suppress(StorageFailed):
                self._kept.change(phase=before.phase, ended_because=before.ended_because)
            self.set(None)
            raise
        self._own(guest, doing)

    def _own(self, guest: Guest, doing: int) -> None:
        """It counts as starting, or whatever `doing` is, until somebody can log in."""
        self.guest = guest
        self.expects_end = False
        guest.goes_on = self._on_going_on
        self._answers = Answering(
            self.name, guest, self.execute, lambda: self.unattended, self._on_silence
        )
        self._watcher = self._spawn(self._watch(guest, self._answers))
        self.set(doing)
        self._answering = self._spawn(self._answer(guest, self._answers))

    # -- reaching it ------------------------------------------------------------------------------

    def endpoint(self) -> ssh.Endpoint:
        """Where its SSH is. Raises NotRunning."""
        if self.guest is None:
            raise NotRunning(self.name)
        try:
            host, port = self._networking.endpoint(self._kept.record.cards)
        except NoAddressYet:
            raise NotRunning(self.name) from None
        return ssh.Endpoint(self.name, host, port, self._kept.record.host_key)

    async def execute(self, command: str, seconds: float) -> str:
        """Run a command in the guest. Raises GuestSilent, NotRunning, DriverError."""
        guest = self.guest
        output = await ssh.run(self.endpoint(), self._key, command, seconds)
        if self.guest is guest and self._answers is not None:
            self._answers.hear()
        return output

    async def wait(self, seconds: float, *, initialised: bool) -> None:
        """Until SSH answers and, if asked, cloud-init is done. Raises TimedOut, DriverError."""
        answers, answering = self._answers, self._answering
        if answers is None or answering is None:
            raise NotRunning(self.name)
        initialised = initialised and not self._kept.record.ready
        what = "timed out waiting for response"
        try:
            with self.awaited():
                async with asyncio.timeout(seconds):
                    await asyncio.wait({answering})
                    if not answers.answered:
                        await answers.until(NOTHING)
                    if initialised:
                        what = "timed out waiting for initialization to complete"
                        await answers.until(FINISHED)
        except TimeoutError:
            raise TimedOut(f"{self.name}: {what}; {await answers.hindrance()}") from None
        if answers.over:
            await self._ends_within(SWITCH_OFF_SECONDS)  # then the reason is written down
            why = self._kept.record.ended_because or "it was stopped"
            raise DriverError(f"{self.name}: the instance ended while it was waited for: {why}")
        if initialised:
            self._kept.change(ready=True)

    async def _answer(self, guest: Guest, answers: Answering) -> None:
        try:
            await answers.listen()
            if guest.stood_still:
                await self._set_clock(guest)
        except RpcError as error:
            _log.warning("%s can't be reached: %s", self.name, error.message)
        finally:
            if self._answers is answers:  # no other has come up since
                self._end_coming_up()

    def _on_going_on(self) -> None:
        """A full disk made it stand still. Before it has answered, that is waited for."""
        if self.guest is not None and self._answers is not None and self._answers.answered:
            self._spawn(self._set_clock(self.guest))

    async def _set_clock(self, guest: Guest) -> None:
        if self.guest is guest:
            await guest_clock.put_right(self.name, self.execute)

    def _on_silence(self) -> None:
        self._end_coming_up()
        self._changed()

    def _end_coming_up(self) -> None:
        if self.doing in transitions.COMING_UP:
            self.set(None)

    async def trouble(self) -> str:
        """What keeps it from running or answering, in a sentence; empty where nothing does."""
        if self.guest is None or self._answers is None:
            why = self._kept.record.ended_because
            return f"{self.name} is not running: {why}" if why else ""
        if self._answers.answered and not self.guest.stalled:
            return ""
        return f"{self.name} does not answer; {await self._answers.hindrance()}"

    # -- its end ----------------------------------------------------------------------------------

    async def power_down(self, seconds: float) -> bool:
        """Press the power button; is it off within this time?"""
        if self.guest is None:
            return True
        self.expects_end = True
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self.guest is not None and (left := end - loop.time()) > 0:
            await self.guest.power_down()
            if await self._ends_within(min(left, PRESS_SECONDS)):
                return True
        return self.guest is None

    async def kill(self) -> None:
        """Off at once, without waiting for its end."""
        self.expects_end = True
        if self.guest is not None:
            await self.guest.kill()

    async def switch_off(self) -> None:
        """Nothing of it runs when this returns."""
        await self.kill()
        await self._ends_within(SWITCH_OFF_SECONDS)
        await self._driver.clear(self.name)  # also one that does not listen
        await self._ends_within(SWITCH_OFF_SECONDS)

    async def resting(self) -> Phase:
        """What one that does not run is."""
        suspended = await self._driver.suspended(self.machine)
        return Phase.SUSPENDED if suspended else Phase.STOPPED

    async def _ends_within(self, seconds: float | None) -> bool:
        if self._watcher is None:
            return True
        done, _ = await asyncio.wait({self._watcher}, timeout=seconds)
        return bool(done)

    async def _watch(self, guest: Guest, answers: Answering) -> None:
        reason = await guest.ended()
        self.guest = None
        answers.over = True
        if self._answering is not None and not self._answering.done():
            self._answering.cancel()
            self._answering = self.doing = None  # what was being done to it was to come up
        with suppress(Exception):
            await self._networking.detach(self._kept.record.cards)
        why = "" if self.expects_end else reason
        if why:
            _log.warning("%s ended: %s", self.name, why)
        if self.doing != State.SUSPENDING:
            with suppress(StorageFailed):  # the log has it, and the next start finds out
                self._kept.change(phase=Phase.STOPPED, stop_at=0.0, ended_because=why)
        self._changed()
