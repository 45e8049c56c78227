"""The trust store's file on disk: read, create, append.

Administrators append by hand without the lock, and may hold the file open for long (`tee -a`). So
the file is never replaced, and an addition is one write to its end. The caller holds the store's
lock, except for `read`.
"""

import errno
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from multipassd.system.files import (
    READ_FLAGS,
    read_descriptor,
    show_change,
    sync_directory,
    write_new,
)
from multipassd.trust import pem_text

STORE_LIMIT = 256 << 20  # 100,000 RSA certificates of 2 KB, with room

TEMPORARY_NAME = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


ATTEMPTS = 5  # against an editor that replaces the file again and again while we change it


class ChangedByOther(OSError):
    """Someone put another file in the store's place while we worked on it."""


class UnsafeFile(OSError):
    """Others than the owner could have written what the file holds."""


def complaint(status: os.stat_result, owners: frozenset[int]) -> str:
    """What makes the file unfit to be believed; empty if nothing does."""
    if stat.S_ISLNK(status.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if status.st_uid not in owners:
        return f"it belongs to uid {status.st_uid}"
    if status.st_mode & 0o022:
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


class StoreDisk:
    """Durable reads and writes of the trust store's file."""

    def __init__(self, path: Path, owners: frozenset[int]) -> None:
        self.path = path
        self._owners = owners

    def read(self) -> tuple[bytes, os.stat_result]:
        """The content, and the status that the file had before it was read. Raises OSError."""
        descriptor = self._open()
        try:
            status = os.fstat(descriptor)
            if wrong := complaint(status, self._owners):
                raise UnsafeFile(errno.EPERM, wrong)
            return read_descriptor(descriptor, STORE_LIMIT, self.path), status
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        """Raises UnsafeFile, too, where what is wrong with the file is why it can't be opened."""
        try:
            return os.open(self.path, READ_FLAGS)
        except OSError as error:
            # Root without its capabilities may not open the file of another owner.
            if error.errno in (errno.EACCES, errno.ELOOP):
                if wrong := complaint(os.lstat(self.path), self._owners):
                    raise UnsafeFile(errno.EPERM, wrong) from error
            raise

    def add(self, text: bytes, before: pem_text.Contents) -> None:
        """Append a whole block to an existing file; `before` is what the file held when it was last
        read. Durable on return.

        Raises OSError, and then the file holds what it held before.
        """
        start, length = self._append(text if before.ends_line else b"\n" + text)
        if start == before.size and before.torn is None:
            return
        data, status = self.read()
        if data[start : start + length].strip() != text.strip():
            raise ChangedByOther(errno.ESTALE, "another process replaced it")
        torn = pem_text.torn_start(data[:start])
        if torn is not None:
            block, unfinished = data[start : start + length], data[torn:start]
            change = pem_text.Change(torn, unfinished + block, block + unfinished)
            self.overwrite([change], status)

    def overwrite(self, changes: Iterable[pem_text.Change], status: os.stat_result) -> None:
        """Change bytes in place, in the file that had `status` when it was read. Durable on return.

        Beyond these bytes others may append at the same time. Raises ChangedByOther when the
        file or these bytes are no longer what was read, and any other OSError.
        """
        descriptor = os.open(self.path, READ_FLAGS & ~os.O_ACCMODE | os.O_RDWR)
        try:
            if not os.path.samestat(os.fstat(descriptor), status):
                raise ChangedByOther(errno.ESTALE, "another process replaced it")
            for change in changes:
                _overwrite(descriptor, change)
            show_change(descriptor, status)
            os.fsync(descriptor)
            if not os.path.samestat(os.lstat(self.path), status):
                raise ChangedByOther(errno.ESTALE, "another process replaced it")
        finally:
            os.close(descriptor)

    def blank(self, *unwanted: str) -> None:
        """Overwrite these clients wherever they stand, until a fresh look finds none of them.

        In place, which needs no room on a full disk, and leaves the file to those who hold it open
        for appending. On a file system that never overwrites (copy-on-write) it needs room all the
        same; there the error stands. A power cut, or a kill between two pages of one write, may
        leave a part of a block old and a part blank. What is left is no certificate: blanks are no
        base64, so its DER is shorter than it says itself. It is reported as broken, or makes the
        store DAMAGED where nothing else is trusted; a half-blank store is never EMPTY.

        Raises OSError.
        """
        names, leaving = pem_text.Names(), frozenset(unwanted)
        for _ in range(ATTEMPTS):
            data, status = self.read()
            changes = pem_text.removal(data, leaving, names)
            if not changes:
                return
            try:
                self.overwrite(changes, status)
            except ChangedByOther:
                continue
        raise OSError(errno.ESTALE, "other programs keep changing the trust store")

    def create(self, text: bytes) -> None:
        """Make the file, complete from its first moment; FileExistsError when there is one."""
        temporary = self._temporary()
        try:
            write_new(temporary, text, 0o600)
            _show_addition(temporary, temporary.stat())
            os.link(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(self.path.parent)

    def _append(self, text: bytes) -> tuple[int, int]:
        """One write to the end; returns where it landed, which a writer by hand may have moved."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor)
            written = 0
            try:
                written = os.write(descriptor, text)
                if written < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                _show_addition(descriptor, before)
                os.fsync(descriptor)
            except OSError:
                _take_back(descriptor, before.st_size, written)
                raise
            start = os.lseek(descriptor, 0, os.SEEK_CUR) - written
            if os.fstat(descriptor).st_ino != self.path.lstat().st_ino:
                raise ChangedByOther(errno.ESTALE, "another process replaced it")
            return start, written
        finally:
            os.close(descriptor)

    def _temporary(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{os.urandom(8).hex()}.tmp")

    def sweep(self) -> None:
        """Remove temporary files that a killed process left: under the lock none is in use."""
        for path in self.path.parent.iterdir():
            if TEMPORARY_NAME.fullmatch(path.name):
                with suppress(OSError):
                    path.unlink()


def _overwrite(descriptor: int, change: pem_text.Change) -> None:
    if os.pread(descriptor, len(change.old), change.start) != change.old:
        raise ChangedByOther(errno.ESTALE, "another process changed it")
    if os.pwrite(descriptor, change.new, change.start) < len(change.new):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _show_addition(written: int | Path, before: os.stat_result) -> None:
    """Make later changes of the file visible in its time stamp: the store does not read back what
    it wrote itself. An attribute may forbid this (`chattr +a`): then only the tick is left."""
    with suppress(OSError):
        show_change(written, before)


def _take_back(descriptor: int, before: int, written: int) -> None:
    """Cut off what was written, unless another process has appended to it."""
    with suppress(OSError):
        if os.fstat(descriptor).st_size == before + written:
            os.ftruncate(descriptor, before)
            os.fsync(descriptor)
