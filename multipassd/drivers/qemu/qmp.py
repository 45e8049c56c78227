"""QEMU's monitor protocol: JSON lines over a Unix socket.

Own code, as Debian has no package of the official library and the protocol is this small.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from multipassd.drivers.qemu.runner import shown
from multipassd.system import log

MAX_LINE = 1 << 20  # an answer; the longest used here has some KiB
COMMAND_SECONDS = 30.0
JOB_SECONDS = 600.0  # saving a guest's memory to a slow disk

_log = log.get("qemu")

Json = dict[str, Any]


class MonitorError(Exception):
    """QEMU refused a command, or is gone."""


class Monitor:
    """`connect`, then `execute`; `ended` tells why the connection is over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._jobs: dict[str, asyncio.Future[None]] = {}
        self._next = 0
        self.shutdown_reason = ""  # QEMU's word for why it ends: "guest-shutdown", "host-qmp-quit"
        self.closed = asyncio.get_running_loop().create_future()
        self.on_full_disk: Callable[[], None] = lambda: None  # the guest was stopped by it
        self._pump: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, path: Path, seconds: float = COMMAND_SECONDS) -> Monitor:
        """Raises OSError (TimeoutError, too), MonitorError."""
        reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE)
        monitor = cls(reader, writer)
        try:
            async with asyncio.timeout(seconds):
                greeting = await monitor._read()
                if "QMP" not in greeting:
                    raise MonitorError(f"{path} is no QEMU monitor")
                monitor._pump = asyncio.get_running_loop().create_task(monitor._listen())
                await monitor.execute("qmp_capabilities")
        except BaseException:
            monitor.close()
            raise
        return monitor

    async def execute(self, command: str, **arguments: object) -> Any:
        """What QEMU returns. Raises MonitorError."""
        if self.closed.done():
            raise MonitorError("QEMU has ended")
        self._next += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._next] = answer
        number = self._next
        message = {"execute": command, "arguments": arguments, "id": number}
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            async with asyncio.timeout(COMMAND_SECONDS):
                return await answer
        except TimeoutError:
            raise MonitorError(f"QEMU did not answer {command}") from None
        except OSError as error:
            raise MonitorError(f"QEMU's monitor is gone: {error}") from None
        finally:
            self._waiting.pop(number, None)

    async def run_job(self, command: str, **arguments: object) -> None:
        """A command that goes on in the background, to its end. Raises MonitorError."""
        job = f"{command}-{self._next}"
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
            error = next((one.get("error") for one in jobs if one["id"] == job), None)
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
        if self._pump is not None:
            self._pump.cancel()
        self._writer.close()
        self._fail(MonitorError("the monitor was closed"))

    async def _listen(self) -> None:
        try:
            while True:
                self._take(await self._read())
        except (MonitorError, OSError):
            self._fail(MonitorError("QEMU has ended"))
        except Exception as error:  # a guest that took QEMU over may send anything
            _log.warning("QEMU's monitor sent what it should not: %s", error)
            self._fail(MonitorError("QEMU's monitor can't be understood"))
        finally:
            self._writer.close()

    async def _read(self) -> Json:
        try:
            line = await self._reader.readline()
            message = json.loads(line) if line else None
        except (ValueError, RecursionError) as error:
            raise MonitorError(f"QEMU's monitor can't be understood: {error}") from None
        if not isinstance(message, dict):
            raise MonitorError("QEMU has ended" if message is None else "it sent no object")
        return message

    def _take(self, message: Json) -> None:
        event = message.get("event")
        if event == "SHUTDOWN":
            self.shutdown_reason = str(message.get("data", {}).get("reason", "unknown"))
        elif event == "BLOCK_IO_ERROR":
            data = message.get("data", {})
            if data.get("nospace") and data.get("action") == "stop":
                self.on_full_disk()
        elif event == "JOB_STATUS_CHANGE":
            data = message.get("data", {})
            job = self._jobs.get(str(data.get("id")))
            if data.get("status") == "concluded" and job is not None and not job.done():
                job.set_result(None)
        elif (answer := self._waiting.get(message.get("id", 0))) and not answer.done():
            if "error" in message:
                answer.set_exception(MonitorError(shown(message["error"].get("desc"))))
            else:
                answer.set_result(message.get("return"))

    def _fail(self, error: MonitorError) -> None:
        for future in [*self._waiting.values(), *self._jobs.values()]:
            if not future.done():
                future.set_exception(error)
                with suppress(BaseException):
                    future.exception()  # nobody may be waiting any more
        self._waiting.clear()
        if not self.closed.done():
            self.closed.set_result(None)
