"""A machine that runs, known by its monitor."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from multipassd.drivers.interface import DriverError, Machine
from multipassd.drivers.qemu.command_line import CONSOLE, CONSOLE_SIZE, DISK, SUSPENDED, writable
from multipassd.drivers.qemu.qmp import Monitor, MonitorError
from multipassd.drivers.qemu.runner import Runner
from multipassd.system import log
from multipassd.system.files import sync_directory, write_atomically
from protocol import sizes

STANDING = {"paused", "prelaunch", "save-vm", "restore-vm"}
FULL_DISK = "io-error"
RETRY_INTERVAL = 5.0  # whether a full disk has room again
RETRY_SETTLES = 0.5  # until it shows that it has not
QUIT_SECONDS = 5.0
CONSOLE_KEPT = 4096  # characters that are kept of what was read; a screenful or two
ORDERLY = {"guest-shutdown", "host-qmp-quit", "host-signal"}

_log = log.get("qemu")


def suspended_mark(machine: Machine) -> Path:
    """Is there while the disk holds a whole suspended state."""
    return machine.directory / "suspended"


def _no_room(machine: Machine) -> str:
    """Why its state may have failed to fit, which QEMU does not tell; empty where it should fit."""
    status = os.statvfs(machine.directory)
    free = status.f_bavail * status.f_frsize
    if free >= machine.memory:
        return ""
    return (
        f"its memory takes up to {sizes.human(machine.memory)}, and there are {sizes.human(free)} "
        f"free in {machine.directory.parent}. Make room there; it runs on."
    )


class QemuGuest:
    """A suspended state holds the disk as it was, too, so it must never be loaded after the guest
    has gone on. Its mark tells: it is written while the guest stands still and before its process
    ends, and removed after the state was loaded and before the guest goes on. A daemon that finds a
    paused guest knows by it what an earlier daemon was about to do."""

    def __init__(self, machine: Machine, monitor: Monitor, runner: Runner) -> None:
        self._machine = machine
        self._monitor = monitor
        self._runner = runner
        self._let_go = False
        self._retrying: asyncio.Task[None] | None = None
        self._printed = ""
        self.stood_still = False
        self.goes_on: Callable[[], None] = lambda: None
        self.reboots: Callable[[], None] = lambda: None
        monitor.on_reset = lambda: self.reboots()
        monitor.on_full_disk = self._on_full_disk

    @property
    def stalled(self) -> str:
        if self._retrying is None:
            return ""
        return "the host's disk is full, and it stands still until there is room"

    async def power_down(self) -> None:
        with suppress(MonitorError):  # it has ended by itself
            await self._monitor.execute("system_powerdown")

    async def kill(self) -> None:
        with suppress(MonitorError, TimeoutError):
            async with asyncio.timeout(QUIT_SECONDS):
                await self._monitor.execute("quit")

    async def suspend(self) -> None:
        await self._forget_state()
        try:
            await self._monitor.execute("stop")
            await self._monitor.run_job("snapshot-save", **self._snapshot())
            write_atomically(suspended_mark(self._machine), b"", 0o660)
        except (MonitorError, OSError) as error:
            with suppress(MonitorError):
                await self._monitor.execute("cont")
            why = _no_room(self._machine) or f"{error}."
            raise DriverError(f"{self._machine.name} can't be suspended: {why}") from None
        await self.kill()

    async def resume(self) -> None:
        """Let it go on from its suspended state. Raises MonitorError, OSError."""
        await self._monitor.run_job("snapshot-load", **self._snapshot())
        suspended_mark(self._machine).unlink(missing_ok=True)
        sync_directory(self._machine.directory)
        await self._monitor.execute("cont")
        self.stood_still = True
        await self._forget_state()

    async def reconcile(self) -> bool:
        """Complete or undo what an earlier daemon began; does it run? Raises MonitorError."""
        status = await self._monitor.status()
        if status == FULL_DISK:
            self._on_full_disk()
        elif status in STANDING and suspended_mark(self._machine).exists():
            await self.kill()
            return False
        elif status in STANDING:
            await self._monitor.execute("cont")
            self.stood_still = True
        return True

    def _snapshot(self) -> dict[str, object]:
        nodes = list(writable(self._machine))
        return {"tag": SUSPENDED, "vmstate": DISK, "devices": nodes}

    async def _forget_state(self) -> None:
        nodes = list(writable(self._machine))
        with suppress(MonitorError):  # there was none
            await self._monitor.run_job("snapshot-delete", tag=SUSPENDED, devices=nodes)

    async def ended(self) -> str:
        await self._monitor.closed
        if self._retrying is not None:
            self._retrying.cancel()
        if self._let_go:
            return ""
        reason = self._monitor.shutdown_reason
        said = "" if reason in ORDERLY else await self._runner.last_output(self._machine.name)
        await self._runner.clear(self._machine.name)
        if reason in ORDERLY:
            return ""
        return f"QEMU ended unexpectedly{': ' + said if said else ''}"

    async def console(self) -> str:
        with suppress(MonitorError):
            # QEMU forgets what was read.
            new = await self._monitor.execute("ringbuf-read", device=CONSOLE, size=CONSOLE_SIZE)
            self._printed = (self._printed + str(new))[-CONSOLE_KEPT:]
        return self._printed

    def close(self) -> None:
        self._let_go = True
        self._monitor.close()

    def _on_full_disk(self) -> None:
        if self._retrying is None:
            _log.warning("%s: the host's disk is full; it stands still", self._machine.name)
            self._retrying = asyncio.get_running_loop().create_task(self._retry())

    async def _retry(self) -> None:
        """Its writes are repeated when it goes on; it stands still again if they fail again."""
        status = FULL_DISK
        with suppress(MonitorError):
            while status == FULL_DISK:
                await asyncio.sleep(RETRY_INTERVAL)
                await self._monitor.execute("cont")
                await asyncio.sleep(RETRY_SETTLES)
                status = await self._monitor.status()
            _log.info("%s goes on", self._machine.name)
            self.stood_still = True
            self.goes_on()
        self._retrying = None
