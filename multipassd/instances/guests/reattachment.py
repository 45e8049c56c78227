"""An instance whose machine an earlier daemon has started, or another program has started or ended:
found again, or recorded as one that does not run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from multipassd.drivers.interface import Driver, DriverError
from multipassd.instances.attachments.attachments import Attachments
from multipassd.instances.guests.running_guest import RunningGuest
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.state import State
from multipassd.system import boot_id, log
from multipassd.system.background import Tasks
from protocol.errors import RpcError, StorageFailed

REACH_AGAIN = 5.0  # seconds between attempts at a machine that runs and does not answer us

_log = log.get("instances")


class Reattachment:
    """Of one instance."""

    def __init__(
        self,
        stored: StoredRecord,
        driver: Driver,
        guest: RunningGuest,
        attachments: Attachments,
        lock: asyncio.Lock,
        tasks: Tasks,
        start: Callable[[], Awaitable[None]],
    ) -> None:
        """`lock`: of what changes the machine; `start`: starts the instance."""
        self._stored = stored
        self._driver = driver
        self._guest = guest
        self._attachments = attachments
        self._lock = lock
        self._tasks = tasks
        self._start = start

    async def find(self, *, again: bool = False) -> None:
        """Never fails. What can't be reached is tried again."""
        async with self._lock:
            if again and (self._guest.state != State.UNKNOWN or self._stored.purged):
                return  # the holder of the lock ended that state
            if self._guest.on or self._stored.purged:
                return  # the holder of the lock has started it, or removed it
            try:
                if await self._guest.find():
                    self._note_running()
                    return
            except DriverError as error:
                if not again:
                    _log.warning("%s", error.message)
                self._tasks.spawn(self._find_again())
                return
            if self._ended_with_host():
                self._tasks.spawn(self._start_again())
                return
            self._tasks.spawn(self._detach())
            suspended = self._stored.record.phase is Phase.SUSPENDED
            why = "" if suspended else self._driver.fate(self._stored.name)
            with suppress(StorageFailed):
                self._guest.record_end(await self._guest.resting(), ended_because=why)

    def _note_running(self) -> None:
        """Another program has started it, so the next start of the service looks for it, too."""
        if self._stored.record.phase is not Phase.RUNNING:
            ran = {"phase": Phase.RUNNING, "boot": boot_id.current(), "ended_because": ""}
            with suppress(StorageFailed):  # then the cluster's next word finds it
                self._stored.change(**ran)

    def _ended_with_host(self) -> bool:
        record = self._stored.record
        ran = record.phase is Phase.RUNNING
        return ran and record.boot != boot_id.current() and not self._driver.outlives_host

    async def _detach(self) -> None:
        """Undo on the host what was set up for one that ended without a daemon. Never fails."""
        async with self._lock:
            if not self._guest.on:
                await self._attachments.after_end()

    async def _start_again(self) -> None:
        """As it ran until the host went down. Never fails."""
        name = self._stored.name
        _log.info("%s ran before the host was booted, and is started again", name)
        try:
            await self._start()
        except RpcError as error:
            _log.warning("%s can't be started again: %s", name, error.message)
            with suppress(StorageFailed):
                self._stored.change(phase=await self._guest.resting(), ended_because=error.message)

    async def _find_again(self) -> None:
        await asyncio.sleep(REACH_AGAIN)
        await self.find(again=True)
