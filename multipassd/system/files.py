"""Reading and writing small files so that neither a crash nor a hostile path can do harm."""

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

# Regular files only, and opening must not hang: a FIFO without a writer would block, a symbolic
# link could lead out of the directory.
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

CHUNK = 1 << 20

# Time stamps of files have the kernel's tick: a second change within it leaves the same stamp.
TICK_SECONDS = 0.05

MAX_FILE = 1 << 20  # a settings file has some lines

Stamp = tuple[int, ...] | None


def make_directory(path: Path, mode: int = 0o777) -> None:
    """With its parents, if it is not there. Raises OSError: NotADirectoryError, not
    FileExistsError, where anything else has its name."""
    try:
        path.mkdir(mode, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        why = f"{path} can't be made, as something that is no directory is in the way"
        raise NotADirectoryError(errno.ENOTDIR, why) from None


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, not only the contents of its files."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_regular(path: Path, limit: int, directory: int | None = None) -> bytes:
    """The whole file, which must be regular (no symbolic link) and at most `limit` bytes long;
    `directory` is the descriptor that a relative path begins at.

    Raises OSError; EFBIG when the file is longer than `limit`.
    """
    descriptor = os.open(path, READ_FLAGS, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return read_descriptor(descriptor, limit, path)
    finally:
        os.close(descriptor)


def read_descriptor(descriptor: int, limit: int, path: Path) -> bytes:
    """Everything from the descriptor's position on; EFBIG when that is more than `limit`."""
    data = bytearray()
    while chunk := os.read(descriptor, min(CHUNK, limit - len(data) + 1)):
        data += chunk
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"it is larger than {limit} bytes", str(path))
    return bytes(data)


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, however often the kernel takes only a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def show_change(file: int | Path, before: os.stat_result) -> None:
    """Give what was just written a time stamp that no other change has: not that of `before`, nor
    the tick's own, which a change by others within the tick would leave, at the same size."""
    now = os.stat(file)
    modified = max(now.st_mtime_ns, before.st_mtime_ns) + 1
    os.utime(file, ns=(now.st_atime_ns, modified))


def write_atomically(path: Path, data: bytes, mode: int, directory: int | None = None) -> None:
    """Put `data` at `path`: after a crash it holds the old content or the new, never a mixture.

    A symbolic link at `path` is replaced, not followed. `mode` does not depend on the umask.
    With the descriptor of a `directory`, `path` is a name in it.
    Raises OSError, and then nothing has changed and no temporary file is left.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        write_new(temporary, data, mode, directory)
        os.replace(temporary, path, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    if directory is None:
        sync_directory(path.parent)
    else:
        os.fsync(directory)


def write_new(path: Path, data: bytes, mode: int, directory: int | None = None) -> None:
    """Create a file that must not exist yet, and make its content durable."""
    descriptor = os.open(path, CREATE_FLAGS, 0o600, dir_fd=directory)
    try:
        write_all(descriptor, data)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stamp(path: Path) -> Stamp:
    try:
        status = path.lstat()
    except OSError as error:
        return (error.errno or 0,)
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_mode,
        status.st_uid,
        status.st_ctime_ns,
    )


def is_settled(seen: Stamp) -> bool:
    """Not within a tick of the file's last change, when another one may leave the same stamp."""
    if seen is None or len(seen) == 1:  # there was no file to be changed
        return True
    return abs(time.time() - seen[-1] / 1e9) >= TICK_SECONDS


def read_trusted(path: Path, owner: int | None = None) -> str:
    """Raises OSError, or ValueError with the reason why the file is not to be relied on."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise ValueError("it is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_uid not in {0, os.geteuid() if owner is None else owner}:
        raise ValueError(f"it belongs to uid {status.st_uid}, who could set a passphrase")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError("users other than its owner may write to it (`chmod 600` fixes that)")
    data = read_regular(path, MAX_FILE)
    if b"\0" in data:
        raise ValueError("it is not text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
