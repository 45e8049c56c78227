"""asyncio in a network namespace: where the members of a real cluster are reached."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

SECONDS = 120.0  # for one piece of work

Result = TypeVar("Result")
_libc = ctypes.CDLL(None, use_errno=True)


def run_inside(namespace: str, work: Callable[[], Awaitable[Result]]) -> Result:
    """In a thread of its own, as a namespace is a thread's; what the work raises is raised here."""

    def enter_and_run() -> Result:
        _enter(namespace)
        return asyncio.run(_bounded(work))

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(enter_and_run).result()


async def _bounded(work: Callable[[], Awaitable[Result]]) -> Result:
    async with asyncio.timeout(SECONDS):
        return await work()


def _enter(namespace: str) -> None:
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), f"can't enter the namespace {namespace}")
    finally:
        os.close(descriptor)
