"""asyncio in a network namespace: where the members of a real cluster are reached."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from collections.abc import Awaitable, Callable

SECONDS = 120.0  # for one piece of work

_libc = ctypes.CDLL(None, use_errno=True)


def run_inside(namespace: str, work: Callable[[], Awaitable[None]]) -> None:
    """In a thread of its own, as a namespace is a thread's; what the work raises is raised here."""
    failures: list[BaseException] = []

    def enter_and_run() -> None:
        try:
            _enter(namespace)
            asyncio.run(_bounded(work))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=enter_and_run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


async def _bounded(work: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(SECONDS):
        await work()


def _enter(namespace: str) -> None:
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), f"can't enter the namespace {namespace}")
    finally:
        os.close(descriptor)
