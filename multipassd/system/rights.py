"""Drop rights of this process, by calls of the C library that Python lacks."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Collection, Iterable

# linux/capability.h, linux/prctl.h, linux/sched.h
DAC_OVERRIDE, DAC_READ_SEARCH, SETGID, SETPCAP = 1, 2, 6, 8
ALL = range(64)
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS = 1, 38
_READ_BOUND, _DROP_BOUND = 23, 24  # of the capabilities that programs can get
_NEW_NETWORK, _NEW_IPC = 0x40000000, 0x08000000
_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_BIND, _RECURSIVE, _SLAVE = 1 << 12, 1 << 14, 1 << 19  # linux/mount.h
_NO_SUID, _NO_DEVICES = 1 << 1, 1 << 2
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}  # its number; the C library has no function
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


def act_on_files_as(uid: int, gid: int) -> None:
    """From now on what root does with files is done with this user's rights; as root itself,
    without the right to files that it could not open by their modes. Raises OSError."""
    drop_capabilities((DAC_OVERRIDE, DAC_READ_SEARCH))
    _libc.setfsgid(ctypes.c_uint(gid))
    _libc.setfsuid(ctypes.c_uint(uid))
    if _libc.setfsuid(ctypes.c_uint(-1)) != uid or _libc.setfsgid(ctypes.c_uint(-1)) != gid:
        raise PermissionError("root's files could not be left alone")


def own_mounts() -> None:
    """Have mounts of one's own, which others do not see; those of others still arrive. An ordinary
    user keeps its ids and its groups, and has root's rights on nothing but these mounts. Raises
    OSError."""
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(_NEW_MOUNTS | (_NEW_USERS if uid else 0)))
    if uid:
        for file, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{file}", "w", encoding="ascii") as target:
                target.write(text)
    _check(_libc.mount(None, b"/", None, ctypes.c_ulong(_SLAVE | _RECURSIVE), None))


def mount_empty(place: str, uid: int) -> None:
    """An empty file system in memory, of this user's. After `own_mounts`. Raises OSError."""
    kind, options = ctypes.c_ulong(_NO_SUID | _NO_DEVICES), f"mode=0755,size=64k,uid={uid}"
    _check(_libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", kind, options.encode()))


def bind(source: str, place: str) -> None:
    """Show a directory, with what is mounted in it, in another place too. After `own_mounts`.
    Raises OSError."""
    kind = ctypes.c_ulong(_BIND | _RECURSIVE)
    _check(_libc.mount(os.fsencode(source), os.fsencode(place), None, kind, None))


def drop_bounding_set(kept: Collection[int] = ()) -> None:
    """Root, too, gets no other capability by running a program. Raises OSError."""
    for number in set(ALL) - set(kept):
        if _libc.prctl(_READ_BOUND, ctypes.c_ulong(number), 0, 0, 0) == 1:
            _control(_DROP_BOUND, number)


def enter_as_root(directory: int, place: str) -> None:
    """Make the open `directory`, with what is mounted in it, the root directory of this process,
    and leave all else behind. `place`: any directory, to mount it on first. After `own_mounts`.
    Raises OSError."""
    source = f"/proc/self/fd/{directory}".encode()
    target = os.fsencode(place)
    _check(_libc.mount(source, target, None, ctypes.c_ulong(_BIND | _RECURSIVE), None))
    os.chdir(place)
    if _libc.syscall(_PIVOT_ROOT.get(os.uname().machine, -1), b".", b".") == 0:
        _check(_libc.umount2(b".", _DETACH))  # the old root, which lies on the new one
    else:  # this process began in a chroot, whose root directory is no mount
        os.chroot(".")
    os.chdir("/")


def _control(option: int, value: int) -> None:
    _check(_libc.prctl(option, *(ctypes.c_ulong(word) for word in (value, 0, 0, 0))))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
