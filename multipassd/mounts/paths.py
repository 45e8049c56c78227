"""The peer's paths: what SFTP does with them, below the directory that is served.

Where that is this process's root directory, these are the system's calls. Where the host allows no
mount namespace, each path is resolved here: the kernel gets single names, never `..`, and follows
no symbolic link. openat2(2) would do the same, but snapd's seccomp filter forbids it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_LINKS = 40  # in a path, as in Linux
MOST_STEPS = 8192  # twice the names of the longest path; each `..` begins anew at the root


class Paths:
    """In a process whose root directory is the one that is served. `chown`, `utime` and `link` mean
    a symbolic link itself, as the guest's kernel has followed links already."""

    def open(self, path: bytes, flags: int, mode: int) -> int:
        return os.open(path, flags, mode)

    def stat(self, path: bytes) -> os.stat_result:
        return os.stat(path)

    def lstat(self, path: bytes) -> os.stat_result:
        return os.lstat(path)

    def statvfs(self, path: bytes) -> os.statvfs_result:
        return os.statvfs(path)

    def entries(self, path: bytes) -> Iterator[os.DirEntry[Any]]:
        """With names as bytes or text, as the host encodes them."""
        return os.scandir(path)

    def readlink(self, path: bytes) -> bytes:
        return os.readlink(path)

    def realpath(self, path: bytes) -> bytes:
        return os.path.realpath(path)

    def truncate(self, path: bytes, size: int) -> None:
        os.truncate(path, size)

    def chmod(self, path: bytes, mode: int) -> None:
        os.chmod(path, mode)

    def chown(self, path: bytes, user: int, group: int) -> None:
        os.chown(path, user, group, follow_symlinks=False)

    def utime(self, path: bytes, times: tuple[int, int]) -> None:
        os.utime(path, times, follow_symlinks=False)

    def mkdir(self, path: bytes, mode: int) -> None:
        os.mkdir(path, mode)

    def unlink(self, path: bytes) -> None:
        os.unlink(path)

    def rmdir(self, path: bytes) -> None:
        os.rmdir(path)

    def rename(self, old: bytes, new: bytes) -> None:
        os.rename(old, new)

    def symlink(self, target: bytes, path: bytes) -> None:
        os.symlink(target, path)

    def link(self, old: bytes, new: bytes) -> None:
        os.link(old, new, follow_symlinks=False)


class PathsBelow(Paths):
    """Below an open directory. What is moved out of it in the middle by a user of the host is still
    reached by the call that found it, and by none after it."""

    def __init__(self, directory: int) -> None:
        """`directory` stays open."""
        self._root = directory

    def open(self, path: bytes, flags: int, mode: int) -> int:
        with self._entry(path, follow=not flags & os.O_EXCL) as (name, parent):
            return os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=parent)

    def stat(self, path: bytes) -> os.stat_result:
        with self._target(path) as place:
            return os.fstat(place)

    def lstat(self, path: bytes) -> os.stat_result:
        with self._entry(path) as (name, parent):
            return os.lstat(name, dir_fd=parent)

    def statvfs(self, path: bytes) -> os.statvfs_result:
        with self._target(path) as place:
            return os.fstatvfs(place)

    def entries(self, path: bytes) -> Iterator[os.DirEntry[Any]]:
        return _Entries(self.open(path, os.O_RDONLY | DIRECTORY, 0))

    def readlink(self, path: bytes) -> bytes:
        with self._entry(path) as (name, parent):
            return os.readlink(name, dir_fd=parent)

    def realpath(self, path: bytes) -> bytes:
        return os.path.normpath(b"/" + path.lstrip(b"/"))

    def truncate(self, path: bytes, size: int) -> None:
        with self._target(path) as place:
            os.truncate(_opened(place), size)

    def chmod(self, path: bytes, mode: int) -> None:
        with self._target(path) as place:
            os.chmod(_opened(place), mode)

    def chown(self, path: bytes, user: int, group: int) -> None:
        with self._entry(path) as (name, parent):
            os.chown(name, user, group, dir_fd=parent, follow_symlinks=False)

    def utime(self, path: bytes, times: tuple[int, int]) -> None:
        with self._entry(path) as (name, parent):
            os.utime(name, times, dir_fd=parent, follow_symlinks=False)

    def mkdir(self, path: bytes, mode: int) -> None:
        with self._entry(path) as (name, parent):
            os.mkdir(name, mode, dir_fd=parent)

    def unlink(self, path: bytes) -> None:
        with self._entry(path) as (name, parent):
            os.unlink(name, dir_fd=parent)

    def rmdir(self, path: bytes) -> None:
        with self._entry(path) as (name, parent):
            os.rmdir(name, dir_fd=parent)

    def rename(self, old: bytes, new: bytes) -> None:
        with self._entry(old) as (name, parent), self._entry(new) as (new_name, new_parent):
            os.rename(name, new_name, src_dir_fd=parent, dst_dir_fd=new_parent)

    def symlink(self, target: bytes, path: bytes) -> None:
        with self._entry(path) as (name, parent):
            os.symlink(target, name, dir_fd=parent)

    def link(self, old: bytes, new: bytes) -> None:
        with self._entry(old) as (name, parent), self._entry(new) as (new_name, new_parent):
            os.link(
                name, new_name,
                src_dir_fd=parent, dst_dir_fd=new_parent, follow_symlinks=False,
            )  # fmt: skip

    @contextmanager
    def _target(self, path: bytes) -> Iterator[int]:
        """A descriptor for what the path leads to, which is not opened. Raises OSError."""
        place = self.open(path, PLACE, 0)
        try:
            yield place
        finally:
            os.close(place)

    @contextmanager
    def _entry(self, path: bytes, *, follow: bool = False) -> Iterator[tuple[bytes, int]]:
        """A name that is neither a path nor `..`, and the directory that has it; with `follow` a
        name that was no symbolic link just now. Raises OSError."""
        walk = _Walk(self._root, path)
        try:
            yield walk.to_last(follow), walk.place
        finally:
            os.close(walk.place)


class _Walk:
    """The way of a path, name by name, from the directory that is its root."""

    def __init__(self, root: int, path: bytes) -> None:
        self._root = root
        self._todo = _names(path)
        self._done: list[bytes] = []
        self._links = 0
        self.place = os.open(".", PLACE | os.O_DIRECTORY, dir_fd=root)

    def to_last(self, follow: bool) -> bytes:
        """The last name, in `place`. Raises OSError."""
        for _ in range(MOST_STEPS):
            name = self._todo.pop() if self._todo else b"."
            if name == b"..":
                self._up()
            elif self._todo:
                self._enter(name)
            elif name == b"." or not follow or not self._is_followed(name):
                return name
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))

    def _up(self) -> None:
        """By the names that led here: the kernel's `..` is wherever the directory lies by now."""
        self._todo = [*(self._todo or [b"."]), *self._done[-2::-1]]
        self._start_again()

    def _start_again(self) -> None:
        self._done = []
        self._go_to(os.open(".", PLACE | os.O_DIRECTORY, dir_fd=self._root))

    def _go_to(self, place: int) -> None:
        os.close(self.place)
        self.place = place

    def _enter(self, name: bytes) -> None:
        if name == b".":  # at the end of a link's target
            return
        try:
            self._go_to(os.open(name, PLACE | os.O_DIRECTORY, dir_fd=self.place))
            self._done.append(name)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP} or not self._is_followed(name):
                raise

    def _is_followed(self, name: bytes) -> bool:
        """Is it a symbolic link? Then the way goes on where it leads. Raises OSError."""
        try:
            target = os.readlink(name, dir_fd=self.place)
        except OSError:
            return False  # the call that is made with the name tells what is wrong
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith(b"/"):
            self._start_again()
        self._todo += _names(target)
        return True


def _names(path: bytes) -> list[bytes]:
    """The last one first. A `.` counts at the end alone, where it means a directory."""
    names = [name for name in path.split(b"/") if name]
    return [*names[-1:], *(name for name in names[-2::-1] if name != b".")]


class _Entries(Iterator[os.DirEntry[Any]]):
    """Of an open directory, which the entries need until they are read; it is closed with this."""

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self._entries = os.scandir(directory)

    def __next__(self) -> os.DirEntry[Any]:
        return next(self._entries)

    def __del__(self) -> None:
        os.close(self._directory)


def _opened(place: int) -> str:
    """A path for calls that take no descriptor of `_target`'s kind."""
    return f"/proc/self/fd/{place}"
