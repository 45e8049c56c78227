"""Runs a coroutine of this process in another network namespace."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
CLONE_NEWNET = 0x40000000


def run_in(namespace: str, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """`namespace`: its name, as `ip netns` knows it. In a thread of its own, which alone enters."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_run, namespace, work).result()


def _run(namespace: str, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if library.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"{namespace} can't be entered")
    finally:
        os.close(descriptor)
    return asyncio.run(work())
