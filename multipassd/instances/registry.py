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
from multipassd.instances import marks
from multipassd.instances.marks import Marks
from multipassd.instances.record import Phase, Record, mac_addresses
from protocol.errors import StorageFailed

SUFFIX = ".json"
FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
# The hypervisor's group, which the deb's directories hand down, must get to the files in there. No
# chmod, as that would take setgid away, and giving it is what the daemon's sandbox forbids.
PLACE_MODE = 0o750
MAX_FILE = 1 << 20  # a record has about 1 KiB

_log = log.get("instances")


class Registry:
    """`records` is the daemon's own, so that nobody but root decides what is started; the
    instances' disks lie in `places`, one directory each, which the hypervisor's user may enter."""

    def __init__(self, records: Path, places: Path) -> None:
        self._directory = records
        self._places = places
        self._marks = Marks(records.with_name(marks.DIRECTORY))
        self._records: dict[str, Record] = {}
        self.whole = False  # no record is there that could not be read

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
        try:
            read = [self._load(path) for path in self._files()]
        except FileNotFoundError:
            return  # there never was an instance
        except OSError as error:
            _log.error("no instance is shown, as their records can't be listed: %s", error)
            return
        self.whole = all(read)
        self._marks.keep_only(
            {one.name for one in self._records.values() if one.phase is Phase.RUNNING}
        )

    def _files(self) -> list[Path]:
        """The records, sorted. Raises OSError. What a killed write left over is removed."""
        files = []
        for path in sorted(self._directory.iterdir()):
            if path.name.startswith("."):
                with suppress(OSError):
                    path.unlink()
            elif path.suffix == SUFFIX:
                files.append(path)
        return files

    def put(self, record: Record) -> None:
        """Durable when this returns. Raises StorageFailed; then nothing has changed."""
        data = record.model_dump_json(indent=1).encode()
        try:
            self._directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            if record.phase is Phase.RUNNING:
                self._marks.add(record.name)
            write_atomically(self._file(record.name), data + b"\n", FILE_MODE)
        except OSError as error:
            raise _failed(record.name, "written", error) from error
        if record.phase is not Phase.RUNNING:
            self._marks.drop(record.name)
        self._records[record.name] = record

    def make_place(self, name: str) -> Path:
        """The directory of a new instance. Raises OSError.

        The records' directory comes first: where places are without it, it was lost, and what
        lies in them is somebody's instances and not left over.
        """
        self._directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        place = self.place(name)
        place.mkdir(mode=PLACE_MODE, parents=True)
        return place

    def remove(self, name: str) -> None:
        """The instance is gone when this returns; its files may be removed then.
        Raises StorageFailed."""
        try:
            with suppress(FileNotFoundError):
                self._file(name).unlink()
                sync_directory(self._directory)
        except OSError as error:
            raise _failed(name, "removed", error) from error
        self._marks.drop(name)
        self._records.pop(name, None)

    def known(self) -> set[str]:
        """The names of all instances, of those with unreadable records, too."""
        with suppress(OSError):
            return {path.stem for path in self._files()} | self._records.keys()
        return set(self._records)

    def leftovers(self) -> list[str]:
        """Names of directories that belong to no instance; none while that is not certain."""
        with suppress(FileNotFoundError):
            places = {path.name for path in self._places.iterdir()}
            try:
                return sorted(places - {path.stem for path in self._files()}) if places else []
            except OSError as error:
                _log.error(
                    "what may be left over in %s is left alone, as the instances' records can't "
                    "be listed: %s", self._places, error,
                )  # fmt: skip
        return []

    def remove_files(self, name: str) -> None:
        shutil.rmtree(self.place(name), ignore_errors=True)

    def mac_addresses(self) -> set[str]:
        return {mac for record in self._records.values() for mac in mac_addresses(record)}

    def images(self) -> set[str]:
        """The images that instances stand on."""
        return {record.image.id for record in self._records.values()}

    def _load(self, path: Path) -> bool:
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
            return False
        self._records[record.name] = record
        return True

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}{SUFFIX}"


def _failed(name: str, what: str, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"The record of {name} can't be {what}: {error.strerror or error}. "
        "Please look at the disk of the service's data."
    )
