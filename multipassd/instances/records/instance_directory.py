"""The directory of one instance: its disk, its seed, and what tells whether it may be removed.

`launching` lies there from the directory's making until the instance is on record, `purged` from
the moment that its purge begins. Without one of the two nothing in there is ever removed.
`record.json` is a copy of the instance's record, which is rebuilt from it when it is lost. The
directory is the daemon's: QEMU's user, who has the disk, can neither write nor rename in it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from multipassd.system.files import (
    make_directory,
    read_regular,
    sync_directory,
    write_atomically,
    write_new,
)

LAUNCHING, PURGED, COPY = "launching", "purged", "record.json"
FILE_MODE = 0o600
# The hypervisor's group, which the deb's directories hand down, must get to the files in there. No
# chmod, as that would take setgid away, and giving it is what the daemon's sandbox forbids.
MODE = 0o750
MAX_FILE = 8 << 20  # a record has about 1 KiB, and half of that more for each snapshot
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class InstanceDirectory:
    """One instance's directory, and the marker files in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # -- a launch ---------------------------------------------------------------------------------

    def make(self) -> str:
        """A new directory; what `unmake` wants to know of it. Raises OSError, FileExistsError
        where anything has the name."""
        token = os.urandom(16).hex()
        make_directory(self.path.parent)
        self.path.mkdir(mode=MODE)
        try:
            write_new(self.path / LAUNCHING, token.encode(), FILE_MODE)
            sync_directory(self.path)
            sync_directory(self.path.parent)
        except OSError:
            with suppress(OSError):
                (self.path / LAUNCHING).unlink(missing_ok=True)
                self.path.rmdir()
            raise
        return token

    def unmake(self, token: str) -> None:
        """Remove what `make` made, and nothing that has come in its place. Never fails."""
        with suppress(OSError):
            if read_regular(self.path / LAUNCHING, MAX_FILE) == token.encode():
                self._remove_all()

    def mark_recorded(self) -> None:
        """The instance is on record: from now on this is its disk. Raises OSError."""
        self._unmark(LAUNCHING, PURGED)

    # -- a purge ----------------------------------------------------------------------------------

    def give_up(self) -> None:
        """The user wants all of it removed; a kill from here on does not change that. Raises
        OSError."""
        try:
            write_new(self.path / PURGED, b"", FILE_MODE)
        except FileExistsError:
            return
        except FileNotFoundError:
            return  # there is no directory
        except OSError as error:  # a full disk, which a purge is to make room on
            try:
                (self.path / COPY).rename(self.path / PURGED)
            except OSError:
                raise error from None
        sync_directory(self.path)

    def remove_given_up(self) -> None:
        """Remove what may be removed, if nothing is on record. Never fails; what could not be
        removed may still be."""
        with suppress(OSError):
            if self.may_go:
                self._remove_all()

    @property
    def may_go(self) -> bool:
        """Nothing that is any user's is in there, provided that no record has the name."""
        try:
            found = set(os.listdir(self.path))
        except OSError:
            return False
        return not found or PURGED in found or (LAUNCHING in found and COPY not in found)

    def _remove_all(self) -> None:
        """What allows it goes last: a removal that was cut short goes on."""
        import shutil  # slow to import, and rarely needed

        marks = [self.path / PURGED, self.path / LAUNCHING]
        for path in set(self.path.iterdir()) - set(marks):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        for path in marks:
            path.unlink(missing_ok=True)
        if self.path.is_symlink():
            self.path.unlink()
        else:
            self.path.rmdir()

    def _unmark(self, *names: str) -> None:
        gone = False
        for name in names:
            with suppress(FileNotFoundError):
                (self.path / name).unlink()
                gone = True
        if gone:
            sync_directory(self.path)

    # -- the copy of its record -------------------------------------------------------------------

    def save_copy(self, data: bytes) -> None:
        """Durable when this returns; nothing to do for an instance without a directory. Raises
        OSError."""
        if self.path.is_dir() and self.copy() != data:
            write_atomically(self.path / COPY, data, FILE_MODE)

    def copy(self) -> bytes:
        """Empty if there is none that may be believed: what it says is run by root."""
        with suppress(OSError):
            # The directory may be on another disk, behind a link of root's.
            if _ours(self.path.stat()) and _ours((self.path / COPY).lstat()):
                return read_regular(self.path / COPY, MAX_FILE)
        return b""


def _ours(status: os.stat_result) -> bool:
    """Can only this user have written it?"""
    return status.st_uid == os.geteuid() and not status.st_mode & WRITABLE_BY_OTHERS
