"""Drop rights of this process, by calls of the C library that Python lacks."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Iterable

# linux/capability.h, linux/prctl.h, linux/sched.h
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
ALL = range(64)
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS = 1, 38
_NEW_NETWORK, _NEW_IPC = 0x40000000, 0x08000000
_VERSION_3 = 0x20080522
_SETS = struct.Struct("=6I")  # effective, permitted, inheritable; of 0 to 31, then of 32 to 63

_libc = ctypes.CDLL(None, use_errno=True)


def drop_capabilities(numbers: Iterable[int]) -> None:
    """Those that this process lacks are no error. Raises OSError."""
    lost = sum(1 << number for number in set(numbers))
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))
    data = ctypes.create_string_buffer(_SETS.size)
    _check(_libc.capget(header, data))
    words = _SETS.unpack(data.raw[: _SETS.size])
    kept = [word & ~(lost >> (0 if index < 3 else 32)) for index, word in enumerate(words)]
    kept = [word & 0xFFFFFFFF for word in kept]
    _check(_libc.capset(header, ctypes.create_string_buffer(_SETS.pack(*kept))))


def no_new_privileges() -> None:
    """No program that is run from now on has more rights than this process. Raises OSError."""
    _control(_SET_NO_NEW_PRIVS, 1)


def end_with_parent() -> None:
    """This process is killed when its parent ends; to be called after it changed its user."""
    _control(_SET_PDEATHSIG, signal.SIGKILL)


def leave_network() -> None:
    """Have a network without devices, and no memory shared with others. Raises OSError."""
    _check(_libc.unshare(_NEW_NETWORK | _NEW_IPC))


def _control(option: int, value: int) -> None:
    _check(_libc.prctl(option, *(ctypes.c_ulong(word) for word in (value, 0, 0, 0))))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
