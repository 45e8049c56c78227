"""Files of the user's that several clients may change at once: settings and aliases."""

from __future__ import annotations

import errno
import os

MAX_FILE = 1024 * 1024  # bytes; anything larger is none of them


def load(path: str) -> str:
    """The file's text, empty if there is none. Bytes that are not UTF-8 survive. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    try:
        data = b""
        while len(data) <= MAX_FILE and (more := os.read(descriptor, MAX_FILE + 1)):
            data += more
        if len(data) > MAX_FILE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return data.decode("utf-8", "surrogateescape")
    finally:
        os.close(descriptor)


class Locked:
    """`with Locked(path):` no other client changes files in its directory, which is made if it is
    missing. Raises OSError."""

    def __init__(self, path: str) -> None:
        self._directory = os.path.dirname(path)

    def __enter__(self) -> None:
        import fcntl

        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        self._lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)


def replace(path: str, text: str, mode: int = 0o600) -> None:
    """While it is locked: a crash leaves the old file or the new one. Raises OSError."""
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
        view = view[os.write(descriptor, view) :]


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
