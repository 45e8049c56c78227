"""Scheduler of the work for peers without trust: a slice of work in each turn of the event loop,
the persons one after the other, so that trusted clients wait for one slice at most."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

from multipassd.transport.quota import limits
from multipassd.transport.quota.work_budget import Account


class Worker(Protocol):
    """A connection with received bytes to handle."""

    def work(self) -> bool:
        """Do one small step; True if there is more to do."""

    def charge(self, seconds: float) -> None:
        """To the account of its person."""


class Turns:
    """`ask` for a step; it is done when it is the person's turn and its account allows it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queues: dict[Account, deque[Worker]] = {}  # of persons, the next one first
        self._parked: dict[Account, deque[Worker]] = {}  # of those whose account is empty
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, account: Account, worker: Worker) -> None:
        """Not again for the same worker until its `work` returned False."""
        waiting = self._parked.get(account) or self._queues.setdefault(account, deque())
        waiting.append(worker)
        self._schedule()

    def _schedule(self) -> None:
        if self._queues and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        end = time.perf_counter() + limits.STRANGERS_SLICE
        while self._queues and time.perf_counter() < end:
            account = next(iter(self._queues))
            queue = self._queues.pop(account)
            if not account.solvent(self._loop.time()):
                self._park(account, queue)
                continue
            worker = queue.popleft()
            if measured(worker):
                queue.append(worker)
            if queue:
                self._queues[account] = queue
        self._schedule()

    def _park(self, account: Account, queue: deque[Worker]) -> None:
        self._parked[account] = queue
        if self._timer is None:
            self._timer = self._loop.call_later(limits.PARKED_LOOK, self._check_parked)

    def _check_parked(self) -> None:
        self._timer = None
        now = self._loop.time()
        for account in [each for each in self._parked if each.solvent(now)]:
            self._queues[account] = self._parked.pop(account)
        if self._parked:
            self._timer = self._loop.call_later(limits.PARKED_LOOK, self._check_parked)
        self._schedule()


def measured(worker: Worker) -> bool:
    """One step of the worker, charged by the processor time that it took."""
    started = time.thread_time()
    try:
        return worker.work()
    finally:
        worker.charge(time.thread_time() - started + limits.READ_WORK)
