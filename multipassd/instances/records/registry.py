"""The records of all instances, in files: which exist. A file that is there is an instance.

A directory of an instance without a record, and a record that can't be read, are a damaged
instance, which is left alone: only what is marked as never launched or as purged is removed
(`place.py`).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from multipassd.instances.records import running_markers
from multipassd.instances.records.damaged import Damaged
from multipassd.instances.records.instance_directory import FILE_MODE, MAX_FILE, InstanceDirectory
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record_directory import DIRECTORY_MODE, RecordDirectory
from multipassd.instances.records.record_text import reason_of, record_of, text_of
from multipassd.instances.records.running_markers import RunningMarkers
from multipassd.system import log
from multipassd.system.files import make_directory, read_regular, sync_directory, write_atomically
from protocol import names
from protocol.errors import StorageFailed

if TYPE_CHECKING:
    from multipassd.instances.records.record import Record

# A record that could not be read keeps its text under this name when it is rebuilt.
ASIDE = ".json.damaged"

_log = log.get("instances")


class Registry(RecordDirectory):
    """What is on record, and what can't be understood."""

    def __init__(self, records: Path, places: Path) -> None:
        super().__init__(records, places)
        self._markers = RunningMarkers(records.with_name(running_markers.DIRECTORY))
        self._records: dict[str, Record] = {}
        self.damaged: dict[str, Damaged] = {}
        self.strange: list[str] = []  # of what else can't be understood, a sentence each

    def names(self) -> list[str]:
        return sorted(self._records)

    def get(self, name: str) -> Record:
        return self._records[name]

    def all(self) -> list[Record]:
        return [self._records[name] for name in self.names()]

    # -- reading ----------------------------------------------------------------------------------

    def load(self) -> None:
        """Read every record, and report what can't be used; it is left alone."""
        self._clean_up()
        self.read()
        for record in self.all():
            if record.renamed_from:
                from multipassd.instances.records import renaming

                renaming.complete(self, record)
        for why in (*self.strange, *(each.trouble for each in self.damaged.values())):
            _log.error("%s", why)
        self._markers.keep_only(
            {each.name for each in self._records.values() if each.phase is Phase.RUNNING}
        )

    def read(self) -> None:
        """The same, without a word and without any change."""
        self._records, self.damaged, self.strange = {}, {}, []
        lost = "is missing"
        known = False  # which records there are
        try:
            for path in self.files():
                self._load(path)
            known = True
        except FileNotFoundError:
            pass  # there never was an instance, or all records are lost
        except OSError as error:
            lost = f"can't be looked for: {reason_of(error)}"
        former = self._forget_former()
        leftovers = self.leftovers() if known else []
        for name in self.place_names():
            if name not in {*self._records, *self.damaged, *leftovers, *former}:
                self._add_damaged(name, f"its record {self.file(name)} {lost}")
        if unlisted := self.unlisted():
            self.strange.append(unlisted)

    @property
    def whole(self) -> bool:
        """There is no instance that could not be read, or may be hidden."""
        return not self.damaged and not self.strange

    def _clean_up(self) -> None:
        """What a killed write left over is removed."""
        with suppress(OSError):
            for path in self.directory.iterdir():
                if path.name[0] == "." and path.suffix == ".tmp":
                    path.unlink()

    def _load(self, path: Path) -> None:
        try:
            record = record_of(read_regular(path, MAX_FILE))
            if record.name != path.stem:
                raise ValueError(f"it is the record of {record.name}")
        except (OSError, ValueError) as error:
            later = self.is_of_later_release(path.stem)
            why = "a later release wrote it" if later else reason_of(error)
            self._add_damaged(path.stem, f"its record {path} can't be read: {why}", later=later)
        else:
            self._records[record.name] = record

    def _add_damaged(self, name: str, why: str, *, later: bool = False) -> None:
        if names.valid(name):
            self.damaged[name] = Damaged(name, why, self.place(name), self.copy(name), later)
        else:
            self.strange.append(f"what is no instance's is left alone: {why}")

    def take_up(self, record: Record) -> None:
        """Its record came after `load`, by another program or under another name."""
        self._records[record.name] = record
        self.damaged.pop(record.name, None)

    def forget(self, name: str) -> None:
        """Its record has another name now."""
        self._records.pop(name, None)
        self._markers.drop(name)

    def _forget_former(self) -> set[str]:
        """The names that a renaming which was broken off has left; their instances have others."""
        former = set()
        for record in self.all():
            old = self._records.get(record.renamed_from)
            if record.renamed_from and (old is None or old.mac == record.mac):
                former.add(record.renamed_from)
                self._records.pop(record.renamed_from, None)
        return former

    # -- changing ---------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Durable when this returns. Raises StorageFailed; then nothing has changed."""
        place, text = InstanceDirectory(self.place(record.name)), text_of(record)
        if len(text) > MAX_FILE:  # it could not be read again
            raise StorageFailed(
                f"The record of {record.name} would be larger than {MAX_FILE >> 20} MiB. Please "
                "delete snapshots with long comments, or shorten these."
            )
        try:
            make_directory(self.directory, DIRECTORY_MODE)
            if record.phase is Phase.RUNNING:
                place.mark_recorded()  # before it runs at the latest: then its disk holds something
                self._markers.add(record.name)
            write_atomically(self.file(record.name), text, FILE_MODE)
        except OSError as error:
            if record.name not in self._records and record.name not in self.damaged:
                with suppress(OSError):  # it may have been put there, but not for certain
                    self.file(record.name).unlink()
            raise _failed(record.name, "written", error) from error
        if record.phase is not Phase.RUNNING:
            self._markers.drop(record.name)
        self._records[record.name] = record
        self._mark_recorded(record.name, text)

    def _mark_recorded(self, name: str, text: bytes) -> None:
        """Nothing but its purge removes its disk any more, and its record can be rebuilt."""
        place = InstanceDirectory(self.place(name))
        try:
            place.mark_recorded()
            place.save_copy(text)
        except OSError as error:
            _log.warning(
                "the copy of the record of %s beside its disk, which a lost record is rebuilt "
                "from, can't be kept up to date: %s", name, error,
            )  # fmt: skip

    def reconcile(self) -> None:
        """For all that are on record: what a killed daemon or an earlier release left undone."""
        for record in self.all():
            self._mark_recorded(record.name, text_of(record))

    def rebuild(self, damaged: Damaged, record: Record) -> None:
        """Put this record in the place of one that is lost; what could not be read is kept aside.
        Raises StorageFailed, and then nothing has changed."""
        path = self.file(damaged.name)
        try:
            with suppress(FileNotFoundError):
                path.replace(path.with_suffix(ASIDE))
        except OSError as error:
            raise _failed(damaged.name, "moved aside", error) from error
        self.put(record)
        self.damaged.pop(damaged.name, None)

    def give_up(self, name: str) -> None:
        """All of it may be removed from now on, also after a crash. Raises StorageFailed."""
        try:
            InstanceDirectory(self.place(name)).give_up()
        except OSError as error:
            raise _failed(name, "removed", error) from error

    def remove(self, name: str) -> None:
        """The instance is gone when this returns; its files may be removed then, if it was given
        up. Raises StorageFailed."""
        path = self.file(name)
        try:
            for each in (path.with_suffix(ASIDE), path):
                with suppress(FileNotFoundError):
                    each.unlink()
                    sync_directory(self.directory)
        except OSError as error:
            raise _failed(name, "removed", error) from error
        self._markers.drop(name)
        self._records.pop(name, None)
        self.damaged.pop(name, None)

    # -- directories ------------------------------------------------------------------------------

    def leftovers(self) -> list[str]:
        """Names of directories that a launch or a purge has left over; none
        while it is not certain that they are not on record."""
        try:
            recorded = {path.stem for path in self.files()}
        except OSError:
            return []
        return [
            name
            for name in self.place_names()
            if name not in recorded and InstanceDirectory(self.place(name)).may_go
        ]

    def remove_files(self, name: str) -> None:
        """Of one that was given up. Never fails: the next start goes on with it."""
        place = InstanceDirectory(self.place(name))
        place.remove_given_up()
        if place.path.exists():
            _log.warning("not all of %s could be removed; the next start tries again", place.path)

    # -- what they use ----------------------------------------------------------------------------

    def mac_addresses(self) -> set[str]:
        return {mac for record in self._understood() for mac in record.macs}

    def instance_ids(self) -> set[str]:
        """Cloud-init's, also those that instances have again once a snapshot is restored."""
        known = self._understood()
        kept = {each.instance_id for record in known for each in record.snapshots}
        return kept | {record.instance_id for record in known}

    def images(self) -> set[str] | None:
        """The images that instances stand on; None while that is not known of each."""
        if self.strange or any(each.copy is None for each in self.damaged.values()):
            return None
        return {record.image.id for record in self._understood()}

    def ssh_keys(self) -> set[str] | None:
        """The keys that instances are reached by; None while that is not known of each."""
        if self.strange or any(each.copy is None for each in self.damaged.values()):
            return None
        return {key for record in self._understood() for key in record.ssh_keys}

    def _understood(self) -> list[Record]:
        copies = [each.copy for each in self.damaged.values() if each.copy is not None]
        return [*self._records.values(), *copies]


def _failed(name: str, what: str, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"The record of {name} can't be {what}: {error.strerror or error}. "
        "Please look at the disk of the service's data."
    )
