"""The store's file on disk: read, appended to, replaced, and what writers held open folded in.

Whoever appends by hand takes no lock and may hold the file open for long (`tee -a`). So an
addition is one write to the end. When the file is replaced, the old one keeps a name that says
how many of its bytes were taken over; what it grows beyond them belongs into the new file.
The caller holds the store's lock, except for `read`.
"""

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from multipassd import storefile
from multipassd.files import (
    READ_FLAGS,
    read_descriptor,
    show_change,
    sync_directory,
    write_new,
)

STORE_LIMIT = 256 << 20  # 100,000 RSA certificates of 2 KB, with room

# A certificate is appended in moments; a `tee -a` whose input a person still pastes takes longer.
FOLD_SECONDS = 10.0


TEMPORARY_NAME = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


class ReplacedMeanwhile(OSError):
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


@dataclass(frozen=True)
class OldFile:
    """A replaced file; its first `size` bytes were taken over, at `since` on the monotonic clock.

    That clock is the machine's, not the process's, and nobody sets it. After a reboot it may be
    anywhere, but then nobody holds the file open any more either.
    """

    path: Path
    size: int
    since: int  # nanoseconds

    @property
    def watched(self) -> bool:
        """May someone who opened it before it was replaced still be writing?"""
        return 0 <= time.monotonic_ns() - self.since < FOLD_SECONDS * 1e9


class StoreDisk:
    def __init__(self, path: Path, owners: frozenset[int]) -> None:
        self.path = path
        self._owners = owners
        self._old_name = re.compile(re.escape(f".{path.name}.") + r"(\d{1,15})\.(\d{1,19})\.old")

    def read(self, path: Path | None = None) -> tuple[bytes, os.stat_result]:
        """The content, and the status that the file had before it was read; of the store's file
        unless another is named."""
        path = path or self.path
        descriptor = self._open(path)
        try:
            status = os.fstat(descriptor)
            if wrong := complaint(status, self._owners):
                raise UnsafeFile(errno.EPERM, wrong)
            return read_descriptor(descriptor, STORE_LIMIT, path), status
        finally:
            os.close(descriptor)

    def _open(self, path: Path) -> int:
        """Raises UnsafeFile, too, where what is wrong with the file is why it can't be opened."""
        try:
            return os.open(path, READ_FLAGS)
        except OSError as error:
            # Root without its capabilities may not open the file of another owner.
            if error.errno in (errno.EACCES, errno.ELOOP):
                if wrong := complaint(os.lstat(path), self._owners):
                    raise UnsafeFile(errno.EPERM, wrong) from error
            raise

    # Adding

    def add(self, text: bytes, size: int, ends_line: bool) -> None:
        """Put a whole block into an existing file that ends in no torn tail. Durable on return.

        `size` and `ends_line` describe the file when it was last read. Raises OSError, and then
        the file holds what it held before.
        """
        start, length = self._append(text if ends_line else b"\n" + text)
        if start == size:
            return
        data, status = self.read()
        if data[start : start + length].strip() != text.strip():
            raise ReplacedMeanwhile(errno.ESTALE, "it was replaced meanwhile")
        if storefile.torn_start(data[:start]) is not None:
            self._disentangle(data[:start], text, status, length)

    def _disentangle(self, head: bytes, text: bytes, status: os.stat_result, length: int) -> None:
        """Our append fell between the two halves of a block that someone wrote meanwhile.

        Blanked out there, it lets the halves find each other, in the file that they hold open
        as in the one that takes its place.
        """
        descriptor = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, b"\n" * length, len(head))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.fold(self.replace(storefile.before_torn(head, text), len(head), status))

    def insert(self, text: bytes) -> None:
        """Put a block before the torn tail, or at the end if nothing is torn (any more)."""
        data, status = self.read()
        if storefile.torn_start(data) is None:
            self.add(text, len(data), not data or data.endswith(b"\n"))
        else:
            self.replace(storefile.before_torn(data, text), len(data), status)

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
                raise ReplacedMeanwhile(errno.ESTALE, "it was replaced meanwhile")
            return start, written
        finally:
            os.close(descriptor)

    # Replacing

    def replace(self, data: bytes, size: int, status: os.stat_result) -> OldFile:
        """Put `data` in the place of the file that had `status`, and whose first `size` bytes
        `data` takes over. Returns the old file."""
        temporary = self._temporary()
        old = self._old(size)
        try:
            write_new(temporary, data, stat.S_IMODE(status.st_mode))
            os.link(self.path, old.path, follow_symlinks=False)
            if old.path.lstat().st_ino != status.st_ino:
                raise ReplacedMeanwhile(errno.ESTALE, "it was replaced meanwhile")
            temporary.replace(self.path)
        except BaseException:
            for leftover in (temporary, old.path):
                with suppress(OSError):
                    leftover.unlink()
            raise
        sync_directory(self.path.parent)
        return old

    def _temporary(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}.tmp")

    def _old(self, size: int) -> OldFile:
        now = time.monotonic_ns()
        return OldFile(self.path.with_name(f".{self.path.name}.{size}.{now}.old"), size, now)

    # Folding in

    def old_files(self) -> list[OldFile]:
        return [
            OldFile(self.path.with_name(name), int(found[1]), int(found[2]))
            for name in self._names()
            if (found := self._old_name.fullmatch(name))
        ]

    def sweep(self) -> None:
        """Remove temporary files that a killed process left: under the lock nobody needs them."""
        for name in self._names():
            if TEMPORARY_NAME.fullmatch(name):
                with suppress(OSError):
                    self.path.with_name(name).unlink()

    def _names(self) -> Iterator[str]:
        return (each.name for each in sorted(self.path.parent.iterdir()))

    def fold(self, old: OldFile) -> None:
        """Take over what the old file grew, up to a block still unfinished; all of it at the end.

        A crash after the taking over and before the renaming has it taken over twice, which
        changes nothing: the store is a set. It can't revive a removed certificate, since every
        removal folds in first and so takes out both.
        """
        final = not old.watched
        if self._is_current(old):  # the replacing was interrupted before it happened
            old.path.unlink()
            return
        if old.path.lstat().st_size > old.size:
            old = self._take_over(old, final)
        if final:
            old.path.unlink()

    def _is_current(self, old: OldFile) -> bool:
        try:
            return old.path.lstat().st_ino == self.path.lstat().st_ino
        except FileNotFoundError:
            return False

    def _take_over(self, old: OldFile, final: bool) -> OldFile:
        data, _ = self.read(old.path)
        growth = storefile.growth(data, old.size, final)
        if growth.taken == old.size:
            return old
        if growth.grown.strip():
            self._put(growth.torn, growth.grown)
        renamed = self._old(growth.taken)
        old.path.rename(renamed.path)
        return renamed

    def _put(self, torn: bytes, grown: bytes) -> None:
        text = torn + grown
        if storefile.torn_start(text) is None:
            text = storefile.lines_end(text)
        try:
            current, _ = self.read()
        except FileNotFoundError:
            self.create(text)
            return
        if torn and current.endswith(torn):
            self._append(grown)
        else:
            self.insert(text)


def _show_addition(written: int | Path, before: os.stat_result) -> None:
    """The store knows what the file holds without reading it; whatever happens to it after that has
    to show. An attribute may forbid this (`chattr +a`): then only the tick is left."""
    with suppress(OSError):
        show_change(written, before)


def _take_back(descriptor: int, before: int, written: int) -> None:
    """Cut off what was written, unless someone appended behind it meanwhile."""
    with suppress(OSError):
        if os.fstat(descriptor).st_size == before + written:
            os.ftruncate(descriptor, before)
            os.fsync(descriptor)
