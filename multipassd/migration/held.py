"""Whether Multipass 1.16 runs on a vault, or a QEMU on a disk of it.

QEMU marks an open disk by locks of its open file description, at these offsets of the file: one
byte each for what it does, and one each for what it lets no other do (QEMU's block/file-posix.c).
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from multipassd.migration.error import CannotTake

FIRST, LENGTH = 100, 200  # of QEMU's bytes
NO_OTHER_WRITES = 201  # of a user of the disk that no other may write to
_LOCK = struct.Struct("hhqqi4x")  # struct flock
DAEMON = "multipassd"
SNAP_DATA = "data/multipassd"  # in $SNAP_COMMON
HOME_DATA = ".local/share/multipassd"


def check_daemon(data: Path) -> None:
    """Raises CannotTake while a daemon of 1.16 runs on this data directory."""
    for pid in _daemons():
        if _data_of(pid) in (None, os.path.realpath(data)):
            raise CannotTake(
                f"Multipass 1.16 runs (process {pid}) and may change what is in {data}. Stop it, "
                "with its instances: `multipass stop --all` with its own client, then `sudo snap "
                "stop multipass`."
            )


def _daemons() -> Iterator[int]:
    """Processes of a compiled multipassd; this service's is Python."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with suppress(OSError):
                if os.path.basename(os.readlink(f"/proc/{entry}/exe")) == DAEMON:
                    yield int(entry)


def _data_of(pid: int) -> str | None:
    """Its data directory, by its environment; None if that can't be read."""
    try:
        lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    environ = dict(line.decode("utf-8", "surrogateescape").partition("=")[::2] for line in lines)
    if storage := environ.get("MULTIPASS_STORAGE"):
        return os.path.realpath(f"{storage}/data")
    if common := environ.get("SNAP_COMMON"):
        return os.path.realpath(f"{common}/{SNAP_DATA}")
    return os.path.realpath(f"{environ.get('HOME', '/root')}/{HOME_DATA}")


def hold(descriptor: int, disk: Path) -> None:
    """From now on, until it is closed, no QEMU starts on this disk. Raises CannotTake if one
    runs."""
    wanted = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, FIRST, LENGTH, 0)
    found = _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, wanted))
    if found[0] != fcntl.F_UNLCK or _is_open(descriptor):
        raise CannotTake(f"a QEMU has its disk {disk} open: stop the instance with 1.16's client")
    ours = _LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, NO_OTHER_WRITES, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, ours)
    except OSError as error:
        raise CannotTake(f"its disk {disk} can't be locked: {error.strerror}") from None


def _is_open(descriptor: int) -> bool:
    """In another process. One whose files can't be looked at is passed over: the lock tells."""
    status = os.fstat(descriptor)
    me = str(os.getpid())
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or entry == me:
            continue
        with suppress(OSError):
            for number in os.listdir(f"/proc/{entry}/fd"):
                with suppress(OSError):
                    other = os.stat(f"/proc/{entry}/fd/{number}")
                    if (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino):
                        return True
    return False
