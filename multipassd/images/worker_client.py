"""The daemon's side of image workers: start one, send it a task, forward its progress.

MULTIPASS_IMAGES_SOCKET is the path of a Unix socket where a service manager starts them, each with
a network that the daemon's own sandbox lacks; without it the worker is a child.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress

from multipassd.images.errors import ImageError, NoRoom, Unreachable
from multipassd.images.image import Progress, Transfer
from multipassd.images.worker_protocol import Answer, Prepare, Task
from multipassd.system import installation

SOCKET = "MULTIPASS_IMAGES_SOCKET"
MAX_LINE = 4 << 20  # an answer is a few hundred bytes
MAX_DOWNLOADS = 4  # more would only compete for the disk and the network
MAX_OTHERS = 8  # lists are short, and should not wait for downloads

Report = Callable[[Progress, int], None]
Move = Callable[[Transfer], None]


def ignore(kind: Progress, percent: int) -> None:
    pass


def ignore_move(transfer: Transfer) -> None:
    pass


class Workers:
    """Runs tasks, each in a worker of its own, a limited number at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._downloads = asyncio.Semaphore(MAX_DOWNLOADS)
        self._others = asyncio.Semaphore(MAX_OTHERS)

    async def run(self, task: Task, report: Report = ignore, move: Move = ignore_move) -> Answer:
        """The final answer; `report` gets each progress once, `move` each transfer. Raises
        ImageError, Unreachable or NoRoom; a cancelled task's worker has ended when this has."""
        async with self._downloads if isinstance(task, Prepare) else self._others:
            reader, writer, process = await self._start()
            try:
                writer.write(task.to_json() + b"\n")
                return await _final(reader, report, move)
            except (ConnectionError, ValueError) as error:
                raise ImageError(f"The image worker failed: {error}.") from error
            finally:
                writer.close()
                await _end(process)

    async def _start(
        self,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Process | None]:
        try:
            if socket := self._environ.get(SOCKET):
                return *await asyncio.open_unix_connection(socket, limit=MAX_LINE), None
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", installation.program("multipass-images"),
                stdin=PIPE, stdout=PIPE, env=self._environment(), limit=MAX_LINE, cwd="/",
            )  # fmt: skip
        except OSError as error:
            raise ImageError(f"The image worker can't be started: {error}.") from error
        assert process.stdin is not None and process.stdout is not None
        return process.stdout, process.stdin, process

    def _environment(self) -> dict[str, str]:
        """Without the service manager's variables, which are for the daemon alone."""
        ours = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"}
        return {key: value for key, value in self._environ.items() if key not in ours}


async def _final(reader: asyncio.StreamReader, report: Report, move: Move) -> Answer:
    reported = None
    while line := await reader.readline():
        answer = Answer.from_json(line)
        if answer.progress is not None:
            if answer.transfer is not None:
                move(Transfer(*answer.transfer))
            if answer.progress != reported:
                reported = answer.progress
                report(Progress(reported[0]), reported[1])
        elif answer.done:
            return answer
        else:
            kind = NoRoom if answer.no_room else Unreachable if answer.unreachable else ImageError
            raise kind(answer.error)
    raise ImageError("The image worker ended without an answer; its log tells why.")


async def _end(process: Process | None) -> None:
    if process is None:
        return  # the closed connection ends it
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
