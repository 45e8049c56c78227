"""The fake of Incus beside a test that is not asynchronous, or that starts the real daemon."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.multipassd.drivers.incus.fake_incus import FakeIncus

T = TypeVar("T")


@contextmanager
def served(fake: FakeIncus) -> Iterator[FakeIncus]:
    """In a thread; what changes it belongs into `call`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    _loops[fake] = loop
    try:
        call(fake, fake.__aenter__)
        yield fake
        call(fake, fake.__aexit__)
    finally:
        del _loops[fake]
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def call(fake: FakeIncus, work: Callable[[], Awaitable[T]]) -> T:
    """In its loop, as `call(fake, lambda: fake.kill("m1"))`."""

    async def called() -> T:
        return await work()

    return asyncio.run_coroutine_threadsafe(called(), _loops[fake]).result()


_loops: dict[FakeIncus, asyncio.AbstractEventLoop] = {}
