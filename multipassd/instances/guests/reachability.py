"""Whether one guest answers over SSH, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress

from multipassd.drivers.interface import Guest
from multipassd.instances.guests.guest_connection import GuestConnection
from multipassd.instances.states.errors import GuestSilent, NotRunning, TimedOut
from multipassd.system import log
from multipassd.system.ssh_command import CONNECT_SECONDS

START_TIMEOUT = 300.0  # seconds until SSH answers; an emulated guest needs minutes
PROBE_INTERVAL = 0.25
# A connection that began before the guest had its network is never answered: QEMU's own network
# repeats what it sends only after seconds. So an attempt waits for a part of the time that the
# start has taken so far, as a guest that boots slowly also answers slowly.
PATIENCE_SHARE = 6
LATE_INTERVAL = 15.0  # between attempts at one that did not answer in time
# Attempts at guests that ran before the service did: hundreds may run on a cluster, and each is a
# process.
FOUND_AT_ONCE = 16
PROBE_SECONDS = 15.0  # one attempt to log in
CONSOLE_LINES, CONSOLE_LIMIT = 10, 1000  # of a silent guest's console that the log gets
# Cloud-init writes this when the first boot's work is done.
MARK, DONE = "/var/lib/cloud/instance/boot-finished", "finished"
LOOK = f"sh -c 'test ! -e {MARK} || echo {DONE}'"
# Ten seconds of waiting at a log-in: each log-in takes an emulated guest half a second's work.
LOOKS = 20
FINISHED = (
    f"sh -c 'for look in $(seq {LOOKS}); do test ! -e {MARK} || exit 0; sleep 0.5; done; exit 1'"
)

_log = log.get("instances")


def patience(passed: float) -> int:
    """Seconds for a guest's SSH to greet a new connection, `passed` seconds after the start."""
    return max(1, min(CONNECT_SECONDS, int(passed / PATIENCE_SHARE)))


class Reachability:
    """Tries to log in until the guest answers or ends."""

    def __init__(
        self,
        name: str,
        guest: Guest,
        connection: GuestConnection,
        unattended: Callable[[], bool],
        on_silence: Callable[[], None],
        on_late_answer: Callable[[], None],
        turns: asyncio.Semaphore | None = None,
    ) -> None:
        """`turns`: of the attempts, where many guests are looked at at once. `unattended`: does no
        client wait for it? `on_silence` is called when the guest did not
        answer in time, `on_late_answer` when it answers after that."""
        self.answered = False  # a log-in succeeded
        self.silent = False  # none did in time, and no client waits any longer
        self._initialised = False  # cloud-init was done at the first log-in
        self._name = name
        self._guest = guest
        self.connection = connection
        connection.on_answer = self._note_answer
        self._unattended = unattended
        self._turns = turns
        self._on_silence = on_silence
        self._on_late_answer = on_late_answer

    async def probe(self) -> None:
        """Until it answers or ends. Raises RpcError where no attempt could succeed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.connection.answer_seconds = patience(0.0)
        while not await self._tried_in_turn():
            passed = loop.time() - began
            self.connection.answer_seconds = patience(passed)
            if passed > START_TIMEOUT and self._unattended() and not self.silent:
                await self._give_up()
            await asyncio.sleep(LATE_INTERVAL if self.silent else PROBE_INTERVAL)

    async def _tried_in_turn(self) -> bool:
        async with self._turns or nullcontext():
            return await self._tried(LOOK)

    async def wait(self, seconds: float, probing: asyncio.Task[None], *, initialised: bool) -> None:
        """Until `probing`, the task of `probe`, is done and the guest answers or ends; then, if
        `initialised`, until cloud-init is done. Raises TimedOut."""
        what = "timed out waiting for response"
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait({probing})
                if not self.answered:
                    await self._until(LOOK)
                if initialised and not self._initialised:
                    what = "timed out waiting for initialization to complete"
                    await self._until(FINISHED)
        except TimeoutError:
            raise TimedOut(f"{self._name}: {what}; {await self.reason()}") from None

    async def _until(self, command: str) -> None:
        """Until it succeeds in the guest, or the guest ends."""
        while not await self._tried(command):  # noqa: ASYNC110 - the guest sends no event
            await asyncio.sleep(PROBE_INTERVAL)

    async def _tried(self, command: str) -> bool:
        """Did it succeed, or has the guest ended?"""
        if not self.connection.over:
            with suppress(GuestSilent, NotRunning):
                said = await self.connection.execute(command, PROBE_SECONDS)
                self._initialised = said.strip() == DONE
                return True
        return self.connection.over

    def _note_answer(self) -> None:
        self.answered = True
        self.connection.answer_seconds = CONNECT_SECONDS
        if self.silent:
            self.silent = False
            _log.info("%s answers by now", self._name)
            self._on_late_answer()

    async def _give_up(self) -> None:
        self.silent = True
        self._on_silence()
        why = await self.reason()
        _log.warning("%s did not answer within %.0f s; %s", self._name, START_TIMEOUT, why)

    async def reason(self) -> str:
        """What is known of why it does not answer."""
        if self._guest.stalled:
            return self._guest.stalled
        printed = "" if self.connection.over else await self._guest.console()
        lines = ["".join(filter(str.isprintable, line)) for line in printed.splitlines()]
        end = " | ".join(filter(None, lines[-CONSOLE_LINES:]))[-CONSOLE_LIMIT:]
        return f"the end of its console: {end or 'empty'}"
