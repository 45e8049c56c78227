"""One download for all who want the same image."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from multipassd.images.image import UNKNOWN, Base, Progress

Report = Callable[[Progress, int], None]


class Fetch:
    """Runs while somebody waits: the first sees how it goes on, the others that it does."""

    def __init__(self, work: Callable[[Report], Awaitable[Base]]) -> None:
        self._waiting: list[Report] = []
        self._task = asyncio.ensure_future(work(self._report))

    @property
    def over(self) -> bool:
        return self._task.done() or self._task.cancelling() > 0

    async def wait(self, report: Report) -> Base:
        if self._waiting:
            report(Progress.WAITING, UNKNOWN)
        self._waiting.append(report)
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting.remove(report)
            if not self._waiting and not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])  # its worker has ended then

    def _report(self, kind: Progress, percent: int) -> None:
        if self._waiting:
            self._waiting[0](kind, percent)
