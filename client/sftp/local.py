"""Directories of this host that an instance's files are written to, or read from.

Every name is looked up in an open directory, and no symbolic link is followed below the directory
that the user named: an instance can have nothing written elsewhere.
"""

from __future__ import annotations

import os
import stat

from client.sftp import remote
from client.sftp.sinks import PERMISSIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE = 0o700
DIRECTORY, LINK, OTHER = "directory", "link", "other"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC


class Directory:
    """An open directory; closed when the last file that needs it is done."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)

    @classmethod
    def at(cls, path: bytes) -> Directory:
        """By a path that the user named. Raises OSError."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    # -- reading ----------------------------------------------------------------------------------

    def entries(self) -> Iterator[tuple[bytes, str]]:
        """Names, and what they are. Raises OSError."""
        with os.scandir(self._descriptor) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    yield os.fsencode(entry.name), DIRECTORY
                else:
                    yield os.fsencode(entry.name), LINK if entry.is_symlink() else OTHER

    def mode(self) -> int:
        return os.fstat(self._descriptor).st_mode

    def open(self, name: bytes) -> int:
        """A file to be read. Raises OSError."""
        return os.open(name, _READ, dir_fd=self._descriptor)

    def inner(self, name: bytes) -> Directory:
        """Raises OSError; NotADirectoryError where something else has the name, such as a link."""
        return Directory(os.open(name, _READ | os.O_DIRECTORY, dir_fd=self._descriptor))

    def link_target(self, name: bytes) -> bytes:
        """Raises OSError."""
        return os.readlink(name, dir_fd=self._descriptor)

    # -- writing ----------------------------------------------------------------------------------

    def made(self, name: bytes) -> Directory:
        """Like `inner`, made if it is not there."""
        try:
            os.mkdir(name, PRIVATE, dir_fd=self._descriptor)
        except FileExistsError:
            pass
        return self.inner(name)

    def set_mode(self, mode: int) -> None:
        """Raises OSError."""
        os.fchmod(self._descriptor, mode & PERMISSIONS)

    def temporary(self) -> tuple[int, bytes]:
        """A new file, to be renamed once it is whole. Raises OSError."""
        name = remote.temporary_name()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=self._descriptor), name

    def replace(self, old: bytes, new: bytes) -> None:
        """Raises OSError; IsADirectoryError where `new` is a directory."""
        os.replace(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: bytes) -> None:
        try:
            os.unlink(name, dir_fd=self._descriptor)
        except OSError:
            pass

    def link(self, target: bytes, name: bytes) -> None:
        """A symbolic link, also in place of a file. Raises OSError."""
        temporary = remote.temporary_name()
        os.symlink(target, temporary, dir_fd=self._descriptor)
        try:
            self.replace(temporary, name)
        except OSError:
            self.remove(temporary)
            raise


def open_special(path: bytes) -> int | None:
    """A descriptor of what is no file to be replaced, such as a pipe or /dev/stdout; else None.

    Links are followed only where the kernel makes them. Raises OSError.
    """
    try:
        mode = os.stat(path, follow_symlinks=path.startswith((b"/dev/", b"/proc/"))).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
        return None
    return os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
