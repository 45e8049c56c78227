"""A directory of the cache, worked on by its descriptor.

The worker may read files that the daemon may not, so no name in the cache, which the daemon can
write, leads it elsewhere: symbolic links are refused, and so is what is not a regular file.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self

from multipassd.system.files import read_regular, write_atomically

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Opening a FIFO or a device in a file's place must neither hang nor do anything.
FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# The machines run as a user of their own, who has to get to the disk and no further.
DIRECTORY_MODE = 0o711


def make_directory(path: Path) -> None:
    """One that is there keeps its mode: the deb's is for the machines' group alone."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return
    path.chmod(DIRECTORY_MODE)


class Place:
    """`path` is for messages only. All methods raise OSError."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path

    @classmethod
    def at(cls, path: Path) -> Self:
        """Made if missing. Links in its path are followed: they are the administrator's."""
        make_directory(path)
        return cls(os.open(path, DIRECTORY_FLAGS), path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self.descriptor)

    def within(self, name: str) -> Place:
        """The directory of this name, made if missing."""
        if "/" in name or name in {"", ".", ".."}:
            raise OSError(errno.EINVAL, "it is not the name of a directory", name)
        made = False
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=self.descriptor)
            made = True
        opened = os.open(name, DIRECTORY_FLAGS | os.O_NOFOLLOW, dir_fd=self.descriptor)
        if made:
            os.fchmod(opened, DIRECTORY_MODE)  # beyond the umask
        return Place(opened, self.path / name)

    def holds(self, name: str, descriptor: int) -> bool:
        """Is that still what this name stands for?"""
        try:
            status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(descriptor), status)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """A regular file; one that is made is for its owner alone."""
        descriptor = os.open(name, flags | FILE_FLAGS, 0o600, dir_fd=self.descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is not a regular file", name)
        return descriptor

    def has(self, name: str) -> bool:
        """Is there anything of this name?"""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str, limit: int) -> bytes:
        return read_regular(Path(name), limit, self.descriptor)

    def write(self, name: str, data: bytes, mode: int) -> None:
        """Atomic and durable."""
        write_atomically(Path(name), data, mode, self.descriptor)

    def rename(self, name: str, target: str) -> None:
        os.replace(name, target, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, *names: str) -> None:
        """Those that are there."""
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.descriptor)

    def remove_tree(self, name: str) -> None:
        """As much of it as can be removed; links in it are not followed."""
        shutil.rmtree(name, ignore_errors=True, dir_fd=self.descriptor)
