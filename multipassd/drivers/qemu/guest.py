"""A machine that runs, known by its monitor."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from multipassd.drivers.driver import DriverError, Machine
from multipassd.drivers.qemu.command import DISK, SUSPENDED, writable
from multipassd.drivers.qemu.monitor import Monitor, MonitorError
from multipassd.drivers.qemu.runner import Runner
from multipassd.files import write_atomically

ORDERLY = {"guest-shutdown", "host-qmp-quit", "host-signal"}


def suspended_mark(machine: Machine) -> Path:
    """Is there while the disk holds a whole suspended state."""
    return machine.directory / "suspended"


class QemuGuest:
    def __init__(self, machine: Machine, monitor: Monitor, runner: Runner) -> None:
        self._machine = machine
        self._monitor = monitor
        self._runner = runner
        self._let_go = False

    async def power_down(self) -> None:
        with suppress(MonitorError):  # it has ended by itself
            await self._monitor.execute("system_powerdown")

    async def kill(self) -> None:
        with suppress(MonitorError):
            await self._monitor.execute("quit")

    async def suspend(self) -> None:
        await self.forget_suspended()
        nodes = list(writable(self._machine))
        snapshot: dict[str, object] = {"tag": SUSPENDED, "vmstate": DISK, "devices": nodes}
        try:
            await self._monitor.execute("stop")
            await self._monitor.run_job("snapshot-save", **snapshot)
            write_atomically(suspended_mark(self._machine), b"", 0o660)
        except (MonitorError, OSError) as error:
            with suppress(MonitorError):
                await self._monitor.execute("cont")
            raise DriverError(f"{self._machine.name} can't be suspended: {error}") from None
        await self.kill()

    async def forget_suspended(self) -> None:
        """Of a running guest: the mark first, so that half a removal means a boot."""
        suspended_mark(self._machine).unlink(missing_ok=True)
        nodes = list(writable(self._machine))
        with suppress(MonitorError):  # there was none
            await self._monitor.run_job("snapshot-delete", tag=SUSPENDED, devices=nodes)

    async def ended(self) -> str:
        await self._monitor.closed
        if self._let_go:
            return ""
        reason = self._monitor.shutdown_reason
        said = "" if reason in ORDERLY else await self._runner.said(self._machine.name)
        await self._runner.clear(self._machine.name)
        if reason in ORDERLY:
            return ""
        return f"QEMU ended unexpectedly{': ' + said if said else ''}"

    def close(self) -> None:
        self._let_go = True
        self._monitor.close()
