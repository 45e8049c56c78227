"""The record of one instance as it changes: a change is visible once it is on disk."""

from __future__ import annotations

from pathlib import Path

from multipassd.instances.records.record import Record
from multipassd.instances.records.registry import Registry


class StoredRecord:
    """The current record of one instance, written through to the registry."""

    def __init__(self, record: Record, registry: Registry) -> None:
        self.record = record
        self.purged = False  # then it is never written again
        self._registry = registry

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def directory(self) -> Path:
        """The instance's directory, with its disk."""
        return self._registry.place(self.name)

    def change(self, **fields: object) -> None:
        """Raises StorageFailed, and then nothing has changed."""
        self.put(self.record.replace(**fields))

    def put(self, record: Record) -> None:
        """Raises StorageFailed, and then nothing has changed."""
        if record != self.record and not self.purged:
            self._registry.put(record)
            self.record = record

    def remove(self) -> None:
        """Remove the record; from then on the files may be removed. Raises StorageFailed."""
        self._registry.give_up(self.name)
        self._registry.remove(self.name)
        self.purged = True

    def remove_files(self) -> None:
        """Takes as long as removing a disk does, so for a thread. Never fails."""
        self._registry.remove_files(self.name)
