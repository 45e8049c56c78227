"""An asyncio client of QEMU's monitor, over `qmp_protocol.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from multipassd.drivers.qemu.qmp_protocol import (
    BLOCK_IO_ERROR,
    JOB_STATUS_CHANGE,
    RESET,
    SHUTDOWN,
    Event,
    Greeting,
    Qmp,
    QmpError,
    Reply,
)
from multipassd.drivers.qemu.runner import shown
from multipassd.system import log

CHUNK = 1 << 16  # bytes that are read at once
COMMAND_SECONDS = 30.0
JOB_SECONDS = 600.0  # saving a guest's memory to a slow disk

_log = log.get("qemu")


class MonitorError(Exception):
    """QEMU refused a command, or is gone."""


class Monitor:
    """A connection to one QEMU: `connect`, then `execute` commands until `closed` is done."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        self._reader = reader
        self._writer = writer
        self._qmp = Qmp()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._jobs: dict[str, asyncio.Future[None]] = {}
        self._job_numbers = count()
        self._greeted: asyncio.Future[None] = loop.create_future()
        self.shutdown_reason = ""  # QEMU's word for why it ends: "guest-shutdown", "host-qmp-quit"
        self.closed: asyncio.Future[None] = loop.create_future()
        self.on_full_disk: Callable[[], None] = lambda: None  # a full host disk paused the guest
        self.on_reset: Callable[[], None] = lambda: None  # the guest boots again
        self._listener: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, path: Path, seconds: float = COMMAND_SECONDS) -> Monitor:
        """Raises OSError (TimeoutError, too), MonitorError."""
        monitor = cls(*await asyncio.open_unix_connection(path))
        try:
            async with asyncio.timeout(seconds):
                monitor._listener = asyncio.get_running_loop().create_task(monitor._listen())
                await monitor._greeted
                await monitor.execute("qmp_capabilities")
        except BaseException:
            monitor.close()
            raise
        return monitor

    async def execute(self, command: str, **arguments: object) -> Any:
        """What QEMU returns. Raises MonitorError."""
        if self.closed.done():
            raise MonitorError("QEMU has ended")
        number, line = self._qmp.command(command, arguments)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(line)
            async with asyncio.timeout(COMMAND_SECONDS):
                return await answer
        except TimeoutError:
            raise MonitorError(f"QEMU did not answer {command}") from None
        except OSError as error:
            raise MonitorError(f"QEMU's monitor is gone: {error}") from None
        finally:
            self._waiting.pop(number, None)

    async def run_job(self, command: str, **arguments: object) -> None:
        """Run a command that QEMU carries out as a job, to its end. Raises MonitorError."""
        job = f"{command}-{next(self._job_numbers)}"
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs[job] = done
        try:
            await self.execute(command, **{"job-id": job}, **arguments)
            async with asyncio.timeout(JOB_SECONDS):
                await done
        except TimeoutError:
            raise MonitorError(f"QEMU did not end {command} in time") from None
        finally:
            self._jobs.pop(job, None)
        jobs = await self.execute("query-jobs")
        try:
            error = next((each.get("error") for each in jobs if each["id"] == job), None)
        except (TypeError, KeyError, AttributeError):
            raise MonitorError(f"QEMU does not tell how {command} ended") from None
        await self.execute("job-dismiss", id=job)
        if error:
            raise MonitorError(shown(error))

    async def status(self) -> str:
        """What the guest does, in QEMU's word. Raises MonitorError."""
        answer = await self.execute("query-status")
        status = answer.get("status") if isinstance(answer, dict) else None
        if not isinstance(status, str):
            raise MonitorError("QEMU does not tell what its guest does")
        return status

    def close(self) -> None:
        """QEMU runs on."""
        if self._listener is not None:
            self._listener.cancel()
        self._writer.close()
        self._fail("the monitor was closed")

    async def _listen(self) -> None:
        try:
            while data := await self._reader.read(CHUNK):
                for message in self._qmp.receive(data):
                    self._handle(message)
            self._fail("QEMU has ended")
        except OSError:
            self._fail("QEMU has ended")
        except QmpError as error:  # a guest that took QEMU over may send anything
            _log.warning("QEMU's monitor sent what it should not: %s", error)
            self._fail(f"QEMU's monitor can't be understood: {error}")
        finally:
            self._writer.close()

    def _handle(self, message: Greeting | Event | Reply) -> None:
        if isinstance(message, Greeting):
            if not self._greeted.done():
                self._greeted.set_result(None)
        elif isinstance(message, Event):
            self._handle_event(message)
        elif (answer := self._waiting.get(message.number)) and not answer.done():
            if message.error is None:
                answer.set_result(message.value)
            else:
                answer.set_exception(MonitorError(shown(message.error)))

    def _handle_event(self, event: Event) -> None:
        if event.name == SHUTDOWN:
            self.shutdown_reason = str(event.data.get("reason", "unknown"))
        elif event.name == RESET:
            if event.data.get("guest"):
                self.on_reset()
        elif event.name == BLOCK_IO_ERROR:
            if event.data.get("nospace") and event.data.get("action") == "stop":
                self.on_full_disk()
        elif event.name == JOB_STATUS_CHANGE:
            job = self._jobs.get(str(event.data.get("id")))
            if event.data.get("status") == "concluded" and job is not None and not job.done():
                job.set_result(None)

    def _fail(self, why: str) -> None:
        for future in [self._greeted, *self._waiting.values(), *self._jobs.values()]:
            if not future.done():
                future.set_exception(MonitorError(why))
                with suppress(BaseException):
                    future.exception()  # else asyncio warns where no caller waits any more
        self._waiting.clear()
        if not self.closed.done():
            self.closed.set_result(None)
