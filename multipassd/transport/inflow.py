"""Flow control of a request that is a stream: the peer may send as much as fits into its window,
and gets room for more only once the call has used what it received."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol


class Window(Protocol):
    """The peer's permission to send (RFC 9113, 5.2)."""

    def widen(self, stream_id: int) -> None: ...
    def credit(self, stream_id: int, size: int) -> None: ...


class Inflow:
    """Messages that arrived and are not asked for yet. `held`: the bytes, as flow control counts
    them, that the peer was not given back; never more than the window."""

    def __init__(self, window: Window, stream_id: int) -> None:
        self.held = 0
        self._window = window
        self._id = stream_id
        self._messages: deque[bytes] = deque()
        self._queued = 0  # bytes of `_messages`
        self._widened = False
        self._ended = False
        self._arrival: asyncio.Event = asyncio.Event()

    def put(self, message: bytes) -> None:
        self._messages.append(message)
        self._queued += len(message)
        self._arrival.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._arrival.set()

    async def next(self, unfinished: int) -> bytes | None:
        """The next message, None after the last. Those before it count as used, and their room is
        given back. `unfinished`: bytes of a message that is not whole yet."""
        self._give_back(unfinished)
        while not self._messages:
            if self._ended:
                return None
            self._arrival.clear()
            await self._arrival.wait()
        message = self._messages.popleft()
        self._queued -= len(message)
        return message

    def _give_back(self, unfinished: int) -> None:
        """The window is widened by the first question: only a call that was let in asks one."""
        if not self._widened:
            self._widened = True
            self._window.widen(self._id)
        used = self.held - self._queued - unfinished
        if used > 0:
            self.held -= used
            self._window.credit(self._id, used)
