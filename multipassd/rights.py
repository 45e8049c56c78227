"""What a process may give up of its rights, where Python has no call for it: by the C library."""

from __future__ import annotations

import ctypes
import os
import struct

# linux/capability.h
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
_VERSION_3 = 0x20080522
_SETS = struct.Struct("=6I")  # effective, permitted, inheritable; of 0 to 31, then of 32 to 63

_libc = ctypes.CDLL(None, use_errno=True)


def drop_capabilities(*numbers: int) -> None:
    """Of the first 32; those that this process lacks are no error. Raises OSError."""
    lost = sum(1 << number for number in numbers)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))
    data = ctypes.create_string_buffer(_SETS.size)
    _check(_libc.capget(header, data))
    sets = _SETS.unpack(data.raw[: _SETS.size])
    kept = [word & ~lost if index < 3 else word for index, word in enumerate(sets)]
    _check(_libc.capset(header, ctypes.create_string_buffer(_SETS.pack(*kept))))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
