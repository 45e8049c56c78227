"""One download for all callers that need the same image."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from multipassd.images.image import UNKNOWN, Base, Progress, Transfer

Report = Callable[[Progress, int], None]


class _Waiting(NamedTuple):
    report: Report
    name: str  # of the instance that the image is for


class Fetch:
    """A download that runs while a caller waits for it: progress is reported to the first, and to
    the others that they wait."""

    def __init__(self, work: Callable[[Fetch], Awaitable[Base]]) -> None:
        self._waiting: list[_Waiting] = []
        self.transfer: Transfer | None = None  # None also after the last byte
        self._task = asyncio.ensure_future(work(self))

    @property
    def over(self) -> bool:
        return self._task.done() or self._task.cancelling() > 0

    @property
    def names(self) -> list[str]:
        """The instances that wait for it."""
        return [waiting.name for waiting in self._waiting if waiting.name]

    async def wait(self, report: Report, name: str = "") -> Base:
        """Until the image is in the cache. The last caller that is cancelled cancels the download.
        Raises what the download raises."""
        if self._waiting:
            report(Progress.WAITING, UNKNOWN)
        me = _Waiting(report, name)
        self._waiting.append(me)
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting.remove(me)
            if not self._waiting and not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])  # its worker has ended then

    def report(self, kind: Progress, percent: int) -> None:
        if kind is not Progress.IMAGE:
            self.transfer = None
        if self._waiting:
            self._waiting[0].report(kind, percent)

    def move(self, transfer: Transfer) -> None:
        self.transfer = transfer
