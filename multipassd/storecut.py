"""Taking a client out of the trust store's files, on a full disk as well.

Trust must be taken back at once whatever the disk says. A rewrite is the rule, since it is atomic,
but it needs room for a second file. Where there is none, the client's blocks are overwritten in
place with newlines, which needs no new room, except on a file system that never overwrites
(copy-on-write): there the error stands.

A power cut may leave some sectors of a block old and some blank. What is then left of the block is
no certificate: newlines are no base64, so its DER is shorter than it says itself. It is reported as
broken, or makes the store DAMAGED where nothing else is trusted; a half-blank store is never EMPTY.
Blank lines go at the next removal that finds room.

The caller holds the store's lock.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from multipassd import storefile
from multipassd.files import READ_FLAGS, show_change
from multipassd.storedisk import ReplacedMeanwhile, StoreDisk, UnsafeFile

ATTEMPTS = 5  # against an editor that replaces the file again and again while we change it


def rewrite(disk: StoreDisk, unwanted: str) -> None:
    """Put a file without that client in the store's place. Raises OSError."""
    for _ in range(ATTEMPTS):
        data, status = disk.read()
        try:
            disk.replace(storefile.without(data, unwanted), len(data), status)
            return
        except ReplacedMeanwhile:
            continue
    raise _keeps_changing()


def blank(disk: StoreDisk, unwanted: str) -> None:
    """Overwrite that client wherever it stands. Raises OSError.

    First in the replaced files that could not be folded in for want of room: out of them it would
    come back later.
    """
    for old in disk.old_files():
        try:
            _blank_in(disk, old.path, unwanted)
        except UnsafeFile:
            continue  # it is never folded in
    for _ in range(ATTEMPTS):
        try:
            _blank_in(disk, disk.path, unwanted)
            return
        except ReplacedMeanwhile:
            continue
    raise _keeps_changing()


def _blank_in(disk: StoreDisk, path: Path, unwanted: str) -> None:
    data, status = disk.read(path)
    spans = storefile.spans(data, unwanted)
    if not spans:
        return
    descriptor = os.open(path, READ_FLAGS & ~os.O_ACCMODE | os.O_RDWR)
    try:
        if not os.path.samestat(os.fstat(descriptor), status):
            raise ReplacedMeanwhile(errno.ESTALE, "it was replaced meanwhile")
        _overwrite(descriptor, data, spans)
        show_change(descriptor, status)
        os.fsync(descriptor)
        if not os.path.samestat(os.lstat(path), status):
            raise ReplacedMeanwhile(errno.ESTALE, "it was replaced meanwhile")
    finally:
        os.close(descriptor)


def _overwrite(descriptor: int, data: bytes, spans: Iterable[tuple[int, int]]) -> None:
    """Behind the spans people may append meanwhile; who changed the spans is not overwritten."""
    for start, end in spans:
        length = end - start
        if os.pread(descriptor, length, start) != data[start:end]:
            raise ReplacedMeanwhile(errno.ESTALE, "it was changed meanwhile")
        if os.pwrite(descriptor, b"\n" * length, start) < length:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _keeps_changing() -> OSError:
    return OSError(errno.ESTALE, "other programs keep changing the trust store")
