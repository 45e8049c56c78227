"""The event loop's time among peers without trust."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from multipassd.transport.quota import limits
from multipassd.transport.quota.turns import Turns
from multipassd.transport.quota.work_budget import Account
from tests.waiting import PATIENCE


class Job:
    """`steps` steps, each of a `cost`; `done` has them in their order, with those of other jobs."""

    def __init__(self, name: str, account: Account, steps: int, done: list[str]) -> None:
        self.name = name
        self.account = account
        self.cost = 0.0
        self._left = steps
        self._done = done
        self.finished = asyncio.Event()

    def work(self) -> bool:
        self._done.append(self.name)
        self._left -= 1
        if not self._left:
            self.finished.set()
        return self._left > 0

    def charge(self, seconds: float) -> None:
        self.account.spend(self.cost, asyncio.get_running_loop().time())


def told(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), PATIENCE))


def test_persons_take_turns_however_many_connections_one_has() -> None:
    async def story() -> None:
        done: list[str] = []
        mallory, bob = Account("mallory", 0.0), Account("bob", 0.0)
        several = [Job("mallory", mallory, 10, done) for _ in range(20)]
        single = Job("bob", bob, 10, done)
        queue = Turns()
        for job in several:
            queue.ask(mallory, job)
        queue.ask(bob, single)
        await single.finished.wait()
        assert done[:20].count("mallory") == 10
        for job in several:
            await job.finished.wait()

    told(story)


def test_a_turn_of_the_loop_has_one_slice_for_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0

    def tick() -> float:
        nonlocal clock
        clock += limits.STRANGERS_SLICE / 4
        return clock

    monkeypatch.setattr(time, "perf_counter", tick)

    async def story() -> None:
        done: list[str] = []
        account = Account("mallory", 0.0)
        job = Job("mallory", account, 100, done)
        Turns().ask(account, job)
        seen = []
        while not job.finished.is_set():
            before = len(done)
            await asyncio.sleep(0)
            seen.append(len(done) - before)
        assert max(seen) <= 4, "a trusted client's bytes are looked at between"

    told(story)


def test_whose_account_is_empty_waits_and_the_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "STRANGERS_WORK", limits.WorkRate(share=1e-9, burst=0.05))
    monkeypatch.setattr(limits, "PARKED_LOOK", 0.001)

    async def story() -> None:
        done: list[str] = []
        now = asyncio.get_running_loop().time()
        mallory, bob = Account("mallory", now), Account("bob", now)
        costly, cheap = Job("mallory", mallory, 4, done), Job("bob", bob, 50, done)
        costly.cost = 0.04
        queue = Turns()
        queue.ask(mallory, costly)
        queue.ask(bob, cheap)
        await cheap.finished.wait()
        assert done.count("mallory") == 2, "then it is in debt"
        mallory.prove(0.0, now)
        await costly.finished.wait()

    told(story)
