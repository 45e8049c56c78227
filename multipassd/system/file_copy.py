"""A disk's file, brought into another directory: shared with the old one where the file system can
(reflink), else copied without its holes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FICLONE = 0x40049409  # of linux/fs.h
CHUNK = 16 << 20  # bytes between two reports of progress
NEW = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
MODE = 0o600

Progress = Callable[[int, int], None]  # bytes of the file that are done, and all


def copy(source: int, path: Path, progress: Progress) -> None:
    """Durable under its name when this returns; nothing is there where it failed. Raises
    OSError."""
    partial = path.with_name(f"{path.name}.part")
    target = os.open(partial, NEW, MODE)
    try:
        if not _shared(source, target):
            _copied(source, target, progress)
        os.fsync(target)
        os.rename(partial, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise
    finally:
        os.close(target)


def _shared(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError:
        return False
    return True


def _copied(source: int, target: int, progress: Progress) -> None:
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the rest is a hole
                break
            raise
        end = os.lseek(source, offset, os.SEEK_HOLE)
        while offset < end:
            progress(offset, size)
            done = _some(source, target, offset, min(CHUNK, end - offset))
            if not done:
                raise OSError(errno.EIO, "the file became shorter while it was copied")
            offset += done
    progress(size, size)


def _some(source: int, target: int, offset: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, count, offset, offset)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}:
            raise
    return os.pwrite(target, os.pread(source, count, offset), offset)


def move(source: Path, path: Path) -> bool:
    """Give it another name; False where that is on another file system, so nothing is saved by
    it. Raises OSError."""
    try:
        os.rename(source, path)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    return True
