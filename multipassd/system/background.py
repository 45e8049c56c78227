"""Tasks that run to completion even if the caller that started them is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from multipassd.system import log
from protocol.errors import RpcError

_log = log.get("tasks")

Result = TypeVar("Result")

LEFT: ContextVar[list[asyncio.Task[Any]] | None] = ContextVar("left running", default=None)
"""Where the work of a cancelled caller is noted that goes on (`multipassd/audit/deed.py`)."""


def goes_on(task: asyncio.Task[Any]) -> None:
    """The running task was cancelled, and `task` does its work without it."""
    if (left := LEFT.get()) is not None:
        left.append(task)


class Tasks:
    """Running background tasks."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()  # the event loop itself holds none

    def spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        context = copy_context()
        context.run(LEFT.set, None)  # what is left within it is its own
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def cancel(self) -> None:
        """End all that runs: for work that may be broken off at any time."""
        for task in self._running:
            task.cancel()

    async def complete(
        self, work: Coroutine[Any, Any, Result], *, auxiliary: bool = False
    ) -> Result:
        """The result of `work`. A caller that is cancelled does not cancel it: a later failure is
        logged instead. `auxiliary`: it is not what was asked for, so that stays undone."""
        task = self.spawn(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not auxiliary:
                goes_on(task)
            task.add_done_callback(_tell_failure)
            raise


def _tell_failure(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, RpcError):
        _log.warning("request failed after its caller disconnected: %s", error.message)
    elif error is not None:
        _log.error("request failed after its caller disconnected", exc_info=error)
