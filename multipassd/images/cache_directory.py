"""Operations on a directory of the cache by its descriptor.

The worker may read files that the daemon may not, and the daemon can write to the cache. So the
worker follows no symbolic links there and opens regular files only.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self

from multipassd.system.files import read_regular, write_atomically

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Opening a FIFO or a device in a file's place must neither hang nor do anything.
FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# An image may be a user's own, so the cache is closed to other users. What runs QEMU opens it to
# QEMU's group (the deb, `DetachedRunner`), which must reach the disks in there and nothing else.
CACHE_MODE = 0o700
DIRECTORY_MODE = 0o711
OTHERS = stat.S_IRWXO


def make_cache(path: Path) -> None:
    """With its parents. One that is there is closed to other users, as earlier releases left it
    open. Raises OSError."""
    try:
        path.mkdir(CACHE_MODE, parents=True)
    except FileExistsError:
        status = path.stat()
        if status.st_mode & OTHERS and status.st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)


class CacheDirectory:
    """An open directory; `path` is for messages only. All methods raise OSError."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path

    @classmethod
    def at(cls, path: Path) -> Self:
        """Make it if it is missing. Links in its path are followed, as the administrator made
        them."""
        make_cache(path)
        return cls(os.open(path, DIRECTORY_FLAGS), path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self.descriptor)

    def within(self, name: str) -> CacheDirectory:
        """The subdirectory of this name, made if missing."""
        if "/" in name or name in {"", ".", ".."}:
            raise OSError(errno.EINVAL, "it is not the name of a directory", name)
        made = False
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=self.descriptor)
            made = True
        opened = os.open(name, DIRECTORY_FLAGS | os.O_NOFOLLOW, dir_fd=self.descriptor)
        if made:
            os.fchmod(opened, DIRECTORY_MODE)  # beyond the umask
        return CacheDirectory(opened, self.path / name)

    def holds(self, name: str, descriptor: int) -> bool:
        """Is this open directory still the one of this name?"""
        try:
            status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(descriptor), status)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """The descriptor of a regular file; a new one has mode 0600."""
        descriptor = os.open(name, flags | FILE_FLAGS, 0o600, dir_fd=self.descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is not a regular file", name)
        return descriptor

    def has(self, name: str) -> bool:
        """Does this name exist?"""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str, limit: int) -> bytes:
        return read_regular(Path(name), limit, self.descriptor)

    def write(self, name: str, data: bytes, mode: int) -> None:
        """Write a file atomically and durably."""
        write_atomically(Path(name), data, mode, self.descriptor)

    def rename(self, name: str, target: str) -> None:
        os.replace(name, target, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, *names: str) -> None:
        """Remove files; missing ones are ignored."""
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.descriptor)

    def remove_tree(self, name: str) -> None:
        """Remove as much of it as possible, following no links."""
        import shutil  # slow to import, and rarely needed

        shutil.rmtree(name, ignore_errors=True, dir_fd=self.descriptor)
