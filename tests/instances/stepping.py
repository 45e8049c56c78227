"""A child of ours that goes on by steps, to be killed where no look at its log is quick enough."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

SYSCALL, SEIZE, INTERRUPT = 24, 0x4206, 0x4207  # ptrace(2)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def step_until(pid: int, true: Callable[[], bool]) -> None:
    """Stop its first thread at each system call, permanently once the condition is true.
    Raises PermissionError where no process may do this to another, ProcessLookupError if it ends.
    """
    _ptrace(SEIZE, pid)
    _ptrace(INTERRUPT, pid)
    pending = _held(pid)
    while not true():
        _ptrace(SYSCALL, pid, pending)
        pending = _held(pid)


def _ptrace(request: int, pid: int, data: int = 0) -> None:
    if _libc.ptrace(request, pid, None, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _held(pid: int) -> int:
    """Wait until it is; the signal that it is to get when it goes on, or 0."""
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):
        raise ProcessLookupError(f"{pid} has ended")
    number = os.WSTOPSIG(status)
    return 0 if number == signal.SIGTRAP else number
