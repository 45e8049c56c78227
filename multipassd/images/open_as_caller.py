"""Opens a file of this host with the rights of the user who launches it.

A child with all of the caller's rights (uid and groups as of its connect()) and none of root's
opens it and passes the descriptor back. So the kernel decides what the caller may read, and an
error reveals nothing that the caller could not find out alone.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import unquote, urlsplit

from multipassd.auth.peer import Credentials
from multipassd.auth.run_as_user import end_child, shed_files, take_on
from multipassd.images.errors import ImageError
from multipassd.system import installation

FILE = "file://"
SECONDS = 30.0  # a file system that needs the network may be slow
# Opening a device or a pipe must neither hang nor do anything.
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MAX_WORD = 16
SNAP_HINT = (
    " In the snap it has to be readable for all users, as the service can't open it with the "
    "caller's rights."
)


def open_as(caller: Credentials, url: str) -> tuple[str, BinaryIO]:
    """The path, and the regular file there. Raises ImageError.

    Forks, so the program must have no other threads.
    """
    paths = paths_of(url)
    if os.geteuid() not in (0, caller.uid):
        raise ImageError(
            f"Custom image `{paths[0]}` can't be opened for uid {caller.uid}: this service runs "
            f"as uid {os.geteuid()} and opens files for that user only."
        )
    number, path, descriptor = _by_child(caller, paths)
    if descriptor < 0:
        raise ImageError(_problem(path, number, caller))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ImageError(f"Custom image `{path}` is not a regular file.")
    return path, os.fdopen(descriptor, "rb", buffering=0)


def paths_of(url: str) -> Sequence[str]:
    """The paths that the URL may mean: 1.16's client sends the path as it is, others encode it.
    Raises ImageError."""
    raw = url.removeprefix(FILE).removeprefix("localhost")
    if urlsplit(url).netloc not in {"", "localhost"} or not raw.startswith("/"):
        raise ImageError(f"Invalid file URL `{url}`; did you forget a slash?")
    paths = list(dict.fromkeys((raw, unquote(raw))))
    if any("\0" in path for path in paths):
        raise ImageError(f"Invalid file URL `{url}`; no file has a zero byte in its name.")
    return paths


def _by_child(caller: Credentials, paths: Sequence[str]) -> tuple[int, str, int]:
    """An errno or 0, the path that it is about, and the descriptor or -1."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = os.fork()
        if child == 0:
            _child(caller, paths, theirs)
        theirs.close()
        ours.settimeout(SECONDS)
        try:
            word, descriptors, _, _ = socket.recv_fds(ours, MAX_WORD, 1)
        except TimeoutError:
            return errno.ETIMEDOUT, paths[0], -1
        finally:
            end_child(child)
    if not word:
        return errno.EIO, paths[0], -1
    which, number = map(int, word.split())
    return number, paths[which], descriptors[0] if descriptors else -1


def _child(caller: Credentials, paths: Sequence[str], writer: socket.socket) -> NoReturn:
    """Never returns into the parent's code."""
    try:
        shed_files(writer.fileno())
        signal.alarm(int(SECONDS) + 1)  # the worker may have no right to kill another user's
        which, number, descriptor = _first(caller, paths)
        found = [descriptor] if descriptor >= 0 else []
        socket.send_fds(writer, [b"%d %d" % (which, number)], found)
    finally:
        os._exit(0)


def _first(caller: Credentials, paths: Sequence[str]) -> tuple[int, int, int]:
    """The index of the first path that can be opened, 0 and its descriptor; else 0, the first errno
    and -1."""
    failure = 0
    for which, path in enumerate(paths):
        try:
            return which, 0, _open(caller, path)
        except OSError as error:
            failure = failure or error.errno or errno.EIO
    return 0, failure, -1


def _open(caller: Credentials, path: str) -> int:
    if os.geteuid() != 0 or caller.uid == 0:
        return os.open(path, FLAGS)
    if installation.here().confined:
        return _open_for_all(path)
    take_on(caller.uid, caller.gid, caller.groups)
    return os.open(path, FLAGS)


def _open_for_all(path: str) -> int:
    """A strict snap may not become its callers, so only files that all users may read are opened.
    Raises PermissionError, also for missing files: the caller may have no right to know."""
    with suppress(OSError):
        descriptor = os.open(path, FLAGS)
        real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        way = all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)
        if way and os.fstat(descriptor).st_mode & stat.S_IROTH:
            return descriptor
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _problem(path: str, number: int, caller: Credentials) -> str:
    if number in {errno.ENOENT, errno.ENOTDIR}:
        return f"Custom image `{path}` does not exist."
    text = f"Custom image `{path}` can't be read: {os.strerror(number)}."
    if number not in {errno.EACCES, errno.EPERM}:
        return text
    if caller.uid and installation.here().confined:
        return text + SNAP_HINT
    return f"{text} It is opened with the rights of the user who launches, uid {caller.uid}."
