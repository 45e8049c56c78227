"""Whether one guest answers, from its start to its end: tried by logging in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from multipassd.drivers.interface import Guest
from multipassd.instances.guests.guest_ssh import GuestSilent
from multipassd.instances.states.errors import NotRunning
from multipassd.system import log

START_TIMEOUT = 300.0  # seconds until SSH answers; an emulated guest needs minutes
PROBE_INTERVAL = 0.5
LATE_INTERVAL = 15.0  # between attempts at one that did not answer in time
PROBE_SECONDS = 15.0  # one attempt to log in
CONSOLE_LINES, CONSOLE_LIMIT = 10, 1000  # of a silent guest's console that the log gets
NOTHING = "true"

_log = log.get("instances")


class Answering:
    """`execute` runs a command in the guest: it raises GuestSilent, and NotRunning once the guest
    has ended. `unattended` tells whether no client waits, `changed` is told when `silent` changed.
    """

    def __init__(
        self,
        name: str,
        guest: Guest,
        execute: Callable[[str, float], Awaitable[str]],
        unattended: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        self.answered = False  # somebody could log in
        self.silent = False  # nobody could in time, and no client waits any longer
        self.over = False  # the guest has ended
        self._name = name
        self._guest = guest
        self._execute = execute
        self._unattended = unattended
        self._changed = changed

    async def listen(self) -> None:
        """Until it answers or ends. Raises RpcError where nobody can ask it."""
        loop = asyncio.get_running_loop()
        due = loop.time() + START_TIMEOUT
        while not await self._tried(NOTHING):
            if loop.time() > due and self._unattended() and not self.silent:
                await self._fall_silent()
            await asyncio.sleep(LATE_INTERVAL if self.silent else PROBE_INTERVAL)

    async def until(self, command: str) -> None:
        """Until it succeeds in the guest, or the guest ends."""
        while not await self._tried(command):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(PROBE_INTERVAL)

    async def _tried(self, command: str) -> bool:
        """Did it succeed, or has the guest ended?"""
        if not self.over:
            with suppress(GuestSilent, NotRunning):
                await self._execute(command, PROBE_SECONDS)
                return True
        return self.over

    def hear(self) -> None:
        """It has answered."""
        self.answered = True
        if self.silent:
            self.silent = False
            _log.info("%s answers by now", self._name)
            self._changed()

    async def _fall_silent(self) -> None:
        self.silent = True
        self._changed()
        why = await self.hindrance()
        _log.warning("%s did not answer within %.0f s; %s", self._name, START_TIMEOUT, why)

    async def hindrance(self) -> str:
        """What is known of why it does not answer."""
        if self._guest.stalled:
            return self._guest.stalled
        printed = "" if self.over else await self._guest.console()
        lines = ["".join(filter(str.isprintable, line)) for line in printed.splitlines()]
        end = " | ".join(filter(None, lines[-CONSOLE_LINES:]))[-CONSOLE_LIMIT:]
        return f"the end of its console: {end or 'empty'}"
