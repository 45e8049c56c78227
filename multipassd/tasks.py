"""Work that goes on to its end when whoever asked for it goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()  # the event loop itself holds none

    def spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def complete(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What it returns; a caller that is cancelled meanwhile does not cancel it."""
        return await asyncio.shield(self.spawn(work))
