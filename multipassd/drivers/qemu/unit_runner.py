"""Runs QEMU in transient units, made by helper/main.py: systemd keeps them when the daemon ends,
collects their journal, and gives guests time to end at the host's shutdown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from multipassd.drivers.interface import DriverError
from multipassd.drivers.qemu.runner import RUNTIME, USER, shown, unit_runtime
from multipassd.drivers.qemu.shared_names import UNIT_PREFIX
from multipassd.system import log
from multipassd.system.json_request import RequestFailed, TooSlow
from multipassd.system.json_request_async import ask_at

SOCKET = "MULTIPASS_MACHINES_SOCKET"  # the path of helper/main.py's socket
SECONDS = 150.0  # for a whole request, whose commands have limits of their own
TIMED_OUT, UNREACHABLE = 124, 125  # codes beside those of the helper's commands
MAX_ANSWER = 64 << 10  # bytes; an answer has a few hundred characters
AT_ONCE = 8  # requests; more would only wait for systemd together

_log = log.get("qemu")


class UnitRunner:
    """A Runner that has the machines helper start and end units."""

    user = USER
    opens_service_taps = True

    def __init__(self, socket: str, storage: Path) -> None:
        self._socket = socket
        self._storage = storage
        self._turns = asyncio.Semaphore(AT_ONCE)

    def runtime(self, name: str) -> Path:
        return unit_runtime(name)

    def names(self) -> list[str]:
        found = RUNTIME.glob(f"{UNIT_PREFIX}*")
        return [path.name.removeprefix(UNIT_PREFIX) for path in found]

    async def start(self, name: str, command: Sequence[str], place: Path) -> None:
        """`place` is not sent: the daemon must not choose what a unit may write to."""
        code, said = await self._ask("start", name, command)
        if code:
            missing = code != UNREACHABLE and "No such file" in said
            hint = " Please install the package qemu-system-x86." if missing else ""
            raise DriverError(f"The unit of {name} could not be started: {said}.{hint}")

    async def alive(self, name: str) -> bool:
        return self.runtime(name).is_dir()  # systemd removes it with the unit

    def advice(self, name: str) -> str:
        return f"`sudo systemctl stop {UNIT_PREFIX}{shown(name)}`"

    async def last_output(self, name: str) -> str:
        _, text = await self._ask("said", name)
        return text

    async def clear(self, name: str) -> None:
        if await self.alive(name):
            code, said = await self._ask("clear", name)
            if code:
                _log.warning("the unit of %s could not be stopped: %s", name, said)

    async def _ask(self, verb: str, name: str, command: Sequence[str] = ()) -> tuple[int, str]:
        """Code, 0 for success, and text of the answer. Never fails."""
        storage = str(self._storage)
        request = {"do": verb, "name": name, "command": list(command), "storage": storage}
        try:
            async with self._turns:
                answer = await ask_at(
                    self._socket, request, dict, limit=MAX_ANSWER, seconds=SECONDS
                )
            return int(answer["code"]), shown(answer["said"])
        except TooSlow:
            return TIMED_OUT, "systemd took too long"
        except (RequestFailed, ValueError, KeyError, TypeError) as error:
            return UNREACHABLE, f"systemd can't be asked at {self._socket}: {error}"
