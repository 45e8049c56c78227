"""Files of the user's that several clients may change at once: settings and aliases."""

from __future__ import annotations

import errno
import posix

MAX_FILE = 1024 * 1024  # bytes; anything larger is none of them


def load(path: str) -> str:
    """The file's text, empty if there is none. Bytes that are not UTF-8 survive. Raises OSError."""
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    try:
        data = b""
        while len(data) <= MAX_FILE and (more := posix.read(descriptor, MAX_FILE + 1)):
            data += more
        if len(data) > MAX_FILE:
            raise OSError(errno.EFBIG, posix.strerror(errno.EFBIG), path)
        return data.decode("utf-8", "surrogateescape")
    finally:
        posix.close(descriptor)


class Locked:
    """`with Locked(path):` no other client changes files in its directory, which is made if it is
    missing. Raises OSError."""

    def __init__(self, path: str) -> None:
        self._directory = path.rpartition("/")[0]

    def __enter__(self) -> None:
        import fcntl
        import os

        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        self._lock = _open_directory(self._directory)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        posix.close(self._lock)


def replace(path: str, text: str, mode: int = 0o600) -> None:
    """While it is locked: a crash leaves the old file or the new one. Raises OSError."""
    import os

    target = os.path.realpath(path)  # a link into a dotfiles directory stays a link
    temporary = f"{target}.new"  # an existing one is a killed writer's, as the lock is held
    if os.path.lexists(temporary):
        os.unlink(temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        try:
            _write_all(descriptor, text.encode("utf-8", "surrogateescape"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
    except OSError:
        os.unlink(temporary)
        raise
    _sync_directory(os.path.dirname(target))


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[posix.write(descriptor, view) :]


def _sync_directory(path: str) -> None:
    descriptor = _open_directory(path)
    try:
        posix.fsync(descriptor)
    finally:
        posix.close(descriptor)


def _open_directory(path: str) -> int:
    return posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
