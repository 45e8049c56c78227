"""A machine on the cluster that runs, known by what the view of the cluster says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import IncusError, NotFound, Unreachable
from multipassd.drivers.incus.cluster.entry import ERROR, STOPPED, Entry
from multipassd.drivers.incus.cluster.view import View
from multipassd.drivers.interface import DriverError
from multipassd.system import log

# Of an orderly stop: Incus waits that long for the guest, and does nothing else with it. The
# daemon asks again as long as it waits itself.
STOP_SECONDS = 10
KILL_SECONDS = 30.0
# An orderly stop that is under way may take the one by force along when its own time is over.
KILL_TRIES = 3
SUSPEND_SECONDS = 600.0  # as much memory as it has goes to a disk
CONSOLE_SECONDS = 5.0
CONSOLE_KEPT = 4096  # characters; a screenful or two
CONSOLE_BYTES = 1 << 20  # Incus keeps less of it
OFF = "already stopped"  # as Incus says it of one that ended just now
REMOVED = "another program has removed it from the Incus cluster"
Reached = Callable[[], Awaitable[Api]]
Look = Callable[[str], Awaitable[Entry | None]]
HOST_DOWN = "its host in the Incus cluster went down"

_log = log.get("incus")


class IncusGuest:
    """It ends when the cluster says so; while its host or the cluster is not reached, it stands
    still as far as this daemon knows."""

    def __init__(self, name: str, reached: Reached, view: View, look: Look) -> None:
        """`reached`: the cluster's API, which may be another one after a new join; `look`: at the
        machine as it is now; None where it is no more this service's. Both raise IncusError."""
        self._look = look
        self._name = name
        self._reached = reached
        self._view = view
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._stopping: asyncio.Task[None] | None = None
        self._was_in_error = self._was_in_trouble = False
        self.stood_still = False
        self.goes_on: Callable[[], None] = lambda: None
        self.reboots: Callable[[], None] = lambda: None
        view.followers[name] = self
        self.saw(view.get(name))

    # -- what the view says -----------------------------------------------------------------------

    def saw(self, entry: Entry | None) -> None:
        if self._end.done():
            return
        if entry is None:
            self._ends(REMOVED)
        elif entry.status == STOPPED:
            self._ends(HOST_DOWN if self._was_in_error else "")
        else:
            self._was_in_error = entry.status == ERROR
            self.turned()

    def turned(self) -> None:
        in_trouble = bool(self.stalled)
        if self._was_in_trouble and not in_trouble:
            self.stood_still = True
            self.goes_on()
        self._was_in_trouble = in_trouble

    def rebooted(self) -> None:
        self.reboots()

    def _ends(self, why: str) -> None:
        self._end.set_result(why)
        if self._view.followers.get(self._name) is self:
            del self._view.followers[self._name]

    # -- as the daemon uses it --------------------------------------------------------------------

    @property
    def stalled(self) -> str:
        return self._view.trouble(self._name)

    async def power_down(self) -> None:
        if not self._end.done() and (why := self.stalled):
            raise DriverError(f"{self._name} can't be stopped now: {why}.")
        if self._stopping is None or self._stopping.done():
            self._stopping = asyncio.get_running_loop().create_task(self._stop())

    async def _stop(self) -> None:
        try:
            await self._change({"action": "stop", "timeout": STOP_SECONDS}, STOP_SECONDS + 10.0)
        except IncusError as error:  # it may have ended by itself; else it is switched off in time
            if not self._end.done():
                _log.debug("%s", error.message)

    async def kill(self) -> None:
        """Raises IncusError where the cluster did not do it."""
        if self._end.done():
            return
        for left in reversed(range(KILL_TRIES)):
            try:
                await self._change({"action": "stop", "force": True, "timeout": -1}, KILL_SECONDS)
            except NotFound:
                return
            except IncusError as error:
                if self._end.done() or OFF in error.said:
                    return
                if not left or isinstance(error, Unreachable):
                    raise
            else:
                return

    async def suspend(self) -> None:
        await self._change({"action": "stop", "stateful": True, "timeout": -1}, SUSPEND_SECONDS)

    async def _change(self, body: dict[str, Any], seconds: float) -> None:
        """Nothing where it has ended, or another instance has its name by now."""
        if await self._look(self._name) is None:
            return
        path = f"/1.0/instances/{self._name}/state"
        await (await self._reached()).operate("PUT", path, body, seconds=seconds)
        if (entry := self._view.get(self._name)) is not None:
            stateful = bool(body.get("stateful"))
            self._view.put(entry._replace(status=STOPPED, addresses=(), stateful=stateful))

    async def ended(self) -> str:
        return await asyncio.shield(self._end)

    async def console(self) -> str:
        with suppress(IncusError):
            path = f"/1.0/instances/{self._name}/console"
            what = f"show the console of {self._name}"
            api = await self._reached()
            text = await api.read_text(path, CONSOLE_BYTES, seconds=CONSOLE_SECONDS, what=what)
            return text[-CONSOLE_KEPT:]
        return ""

    def close(self) -> None:
        if self._view.followers.get(self._name) is self:
            del self._view.followers[self._name]
        if self._stopping is not None:
            self._stopping.cancel()
