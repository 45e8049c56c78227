"""The records of all instances, in files: which exist. A file that is there is an instance; a
directory of an instance without one is left over from a launch or a purge that was cut short.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from multipassd import log
from multipassd.files import read_regular, sync_directory, write_atomically
from multipassd.instances.record import Record, mac_addresses

SUFFIX = ".json"
FILE_MODE = 0o600
MAX_FILE = 1 << 20  # a record has about 1 KiB

_log = log.get("instances")


class Registry:
    """`records` is the daemon's own, so that nobody but root decides what is started; the
    instances' disks lie in `places`, one directory each, which the hypervisor's user may enter."""

    def __init__(self, records: Path, places: Path) -> None:
        self._directory = records
        self._places = places
        self._records: dict[str, Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def names(self) -> list[str]:
        return sorted(self._records)

    def get(self, name: str) -> Record:
        return self._records[name]

    def all(self) -> list[Record]:
        return [self._records[name] for name in self.names()]

    def place(self, name: str) -> Path:
        return self._places / name

    def load(self) -> None:
        """Read every record; one that can't be read is reported and left alone."""
        self._records = {}
        with suppress(FileNotFoundError):
            for path in sorted(self._directory.iterdir()):
                if path.suffix == SUFFIX and not path.name.startswith("."):
                    self._load(path)

    def put(self, record: Record) -> None:
        """Durable when this returns. Raises OSError; then nothing has changed."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = record.model_dump_json(indent=1).encode()
        write_atomically(self._file(record.name), data + b"\n", FILE_MODE)
        self._records[record.name] = record

    def remove(self, name: str) -> None:
        """The instance is gone when this returns; its files may be removed then."""
        with suppress(FileNotFoundError):
            self._file(name).unlink()
            sync_directory(self._directory)
        self._records.pop(name, None)

    def leftovers(self) -> list[str]:
        """Names of directories that belong to no instance."""
        with suppress(FileNotFoundError):
            taken = {
                path.stem for path in self._directory.glob(f"*{SUFFIX}")
            }  # unreadable ones, too
            return sorted(path.name for path in self._places.iterdir() if path.name not in taken)
        return []

    def remove_files(self, name: str) -> None:
        shutil.rmtree(self.place(name), ignore_errors=True)

    def mac_addresses(self) -> set[str]:
        return {mac for record in self._records.values() for mac in mac_addresses(record)}

    def images(self) -> set[str]:
        """The images that instances stand on."""
        return {record.image.id for record in self._records.values()}

    def _load(self, path: Path) -> None:
        try:
            record = Record.model_validate_json(read_regular(path, MAX_FILE))
            if record.name != path.stem:
                raise ValueError(f"it is the record of {record.name}")
        except (OSError, ValueError) as error:
            why = f"{error.error_count()} errors" if isinstance(error, ValidationError) else error
            _log.error(
                "the instance in %s is not shown, as its record can't be read: %s. "
                "Its disk is left alone.", path, why,
            )  # fmt: skip
            return
        self._records[record.name] = record

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}{SUFFIX}"
