"""Where the records and the directories of instances lie, and which there are."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from multipassd.instances.records.instance_directory import MAX_FILE, InstanceDirectory
from multipassd.instances.records.record_text import FORMAT, reason_of, record_of
from multipassd.system.files import make_directory, read_regular
from protocol import names

if TYPE_CHECKING:
    from multipassd.instances.records.record import Record

SUFFIX = ".json"
DIRECTORY_MODE = 0o700


class RecordDirectory:
    """`directory` is the daemon's own, so that only root decides what is started; the instances'
    disks lie in `places`, one directory each, which the hypervisor's user may enter."""

    def __init__(self, directory: Path, places: Path) -> None:
        self.directory = directory
        self._places = places

    def place(self, name: str) -> Path:
        return self._places / name

    def files(self) -> list[Path]:
        """The records, sorted. Raises OSError."""
        found = sorted(self.directory.iterdir())
        return [path for path in found if path.suffix == SUFFIX and path.name[0] != "."]

    def place_names(self) -> list[str]:
        """Sorted. What has no instance's name never was one: lost+found, for example."""
        with suppress(OSError):
            return sorted(
                path.name
                for path in self._places.iterdir()
                if names.valid(path.name) and path.is_dir()
            )
        return []

    def unlisted(self) -> str:
        """What may hide instances: a directory that is there and can't be listed."""
        for path in (self.directory, self._places):
            try:
                os.listdir(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                return f"{path} can't be listed, so instances may be missing: {reason_of(error)}"
        return ""

    def copy(self, name: str) -> Record | None:
        """Of the record, beside the disk; None where it is of no use."""
        with suppress(OSError, ValueError):
            record = record_of(InstanceDirectory(self.place(name)).copy())
            return record if record.name == name and not self.is_of_later_release(name) else None
        return None

    def is_of_later_release(self, name: str) -> bool:
        """Its record is sound then, and must stay where it is."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            return int(json.loads(read_regular(self.file(name), MAX_FILE))["format"]) > FORMAT
        return False

    def make_place(self, name: str) -> str:
        """The directory of a new instance; returns the token that `unmake_place` takes. Raises
        OSError."""
        make_directory(self.directory, DIRECTORY_MODE)
        return InstanceDirectory(self.place(name)).make()

    def unmake_place(self, name: str, token: str) -> None:
        """Remove what this call of `make_place` has made. Never fails."""
        InstanceDirectory(self.place(name)).unmake(token)

    def has_traces_of(self, name: str) -> bool:
        """Has a directory or a record of any kind this name, also one that came after `load`?"""
        return any(
            path.is_symlink() or path.exists() for path in (self.file(name), self.place(name))
        )

    def file(self, name: str) -> Path:
        """Of its record."""
        return self.directory / f"{name}{SUFFIX}"
