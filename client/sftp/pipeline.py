"""Runs jobs that wait for an SFTP server, many at once, in one thread.

A job is a generator. It yields what it waits for: a Pending request (and is sent its reply), a
Start (another job, to run beside it), a Join (until the jobs of a group have ended), or an Input
(until a descriptor can be read).
"""

from __future__ import annotations

from collections import deque

from client.sftp.session import Pending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeVar

    from client.sftp.protocol import Reply
    from client.sftp.session import Session

    Result = TypeVar("Result")
    # What a job yields, what it is sent, what it returns.
    Job = Generator["Pending | Start | Join | Input", Any, Result]

WIDTH = 64  # jobs at once, so files that are open at once, here and there


class Group:
    """Counts the jobs that were started for something, such as a directory."""

    __slots__ = ("running",)

    def __init__(self) -> None:
        self.running = 0


class Start:
    """Start a job; what yields this goes on when there was room for it."""

    __slots__ = ("group", "job")

    def __init__(self, job: Job[None], group: Group) -> None:
        self.job = job
        self.group = group


class Join:
    """Wait until all jobs of a group have ended."""

    __slots__ = ("group",)

    def __init__(self, group: Group) -> None:
        self.group = group


class Input:
    """Wait until a descriptor, of which there is one at a time, can be read without blocking."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor


class Pipeline:
    """The jobs of one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._ready: deque[tuple[Job[Any], Reply | None]] = deque()
        self._groups: dict[Job[Any], Group | None] = {}  # of every job that has not ended
        self._starting: deque[tuple[Job[Any], Start]] = deque()
        self._joining: list[tuple[Job[Any], Group]] = []
        self._reading: tuple[Job[Any], int] | None = None

    def run(self, job: Job[Result]) -> Result:
        """Runs a job and all that it starts, to the end. Raises Lost, ProtocolError.

        What a job raises ends all others; each handles what concerns its own file alone.
        """
        results: list[Result] = []

        def first() -> Job[None]:
            results.append((yield from job))

        self._begin(first(), None)
        try:
            while self._groups:
                while self._ready:
                    self._step(*self._ready.popleft())
                if self._groups:
                    self._receive()
        finally:
            for left in list(self._groups):
                left.close()
            self._groups.clear()
            self._ready.clear()
            self._starting.clear()
            self._joining.clear()
            self._reading = None
        return results[0]

    def _receive(self) -> None:
        for pending in self.session.pump(-1 if self._reading is None else self._reading[1]):
            if pending.job is not None:
                self._ready.append((pending.job, pending.reply))
        if self._reading is not None and self.session.input_ready:
            self._ready.append((self._reading[0], None))
            self._reading = None

    def _begin(self, job: Job[Any], group: Group | None) -> None:
        self._groups[job] = group
        self._ready.append((job, None))

    def _step(self, job: Job[Any], value: Reply | None) -> None:
        try:
            wanted = job.send(value)
        except StopIteration:
            self._ended(job)
            return
        if isinstance(wanted, Pending):
            if wanted.reply is not None:
                self._ready.append((job, wanted.reply))
            else:
                wanted.job = job
        elif isinstance(wanted, Start):
            wanted.group.running += 1
            self._starting.append((job, wanted))
            self._start_some()
        elif isinstance(wanted, Input):
            self._reading = (job, wanted.descriptor)
        elif wanted.group.running:
            self._joining.append((job, wanted.group))
        else:
            self._ready.append((job, None))

    def _start_some(self) -> None:
        while self._starting and len(self._groups) < WIDTH:
            parent, start = self._starting.popleft()
            self._begin(start.job, start.group)
            self._ready.append((parent, None))

    def _ended(self, job: Job[Any]) -> None:
        group = self._groups.pop(job)
        if group is not None:
            group.running -= 1
            if not group.running:
                done = [waiting for waiting, each in self._joining if each is group]
                self._joining = [pair for pair in self._joining if pair[1] is not group]
                self._ready.extend((waiting, None) for waiting in done)
        self._start_some()
