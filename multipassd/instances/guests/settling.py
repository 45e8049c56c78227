"""What is done in one guest each time that it answers anew: the attachments' hooks for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from multipassd.instances.attachments.attachment import Execute
from multipassd.instances.attachments.attachments import Attachments

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Settling:
    """Calls the hooks, one after the other, and keeps what they warn of."""

    def __init__(self, attachments: Attachments, execute: Execute, spawn: Spawn) -> None:
        self._attachments = attachments
        self._execute = execute
        self._spawn = spawn
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._warnings: dict[str, None] = {}  # in order

    def warnings(self) -> list[str]:
        """What the clients that wait for the start are to know, each sentence once."""
        told = list(self._warnings)
        self._warnings.clear()
        return told

    def answered(self, *, paused: bool) -> None:
        """The guest answers after a start. `paused`: it goes on from where it stood still."""
        self._begin(self._after_answer(paused))

    def goes_on(self) -> None:
        """The guest goes on after a pause."""
        self._begin(self._after_pause())

    async def before_suspend(self) -> None:
        async with self._lock:
            await self._attachments.before_suspend(self._execute)

    async def done(self) -> None:
        """Until the hooks of the last answer are done."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def end(self) -> None:
        """The guest has ended."""
        self._warnings.clear()
        if self._task is not None:
            self._task.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._spawn(work)

    async def _after_answer(self, paused: bool) -> None:
        async with self._lock:
            if paused:
                await self._attachments.after_pause(self._execute)
            await self._attachments.after_answer(self._execute, self._warn)

    def _warn(self, text: str) -> None:
        self._warnings[text] = None

    async def _after_pause(self) -> None:
        async with self._lock:
            await self._attachments.after_pause(self._execute)
