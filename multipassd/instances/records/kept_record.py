"""The record of one instance as it changes: what others see of it is on disk already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from multipassd.instances.records.record import Record
from multipassd.instances.records.registry import Registry


class KeptRecord:
    def __init__(self, record: Record, registry: Registry, changed: Callable[[], None]) -> None:
        self.record = record
        self.gone = False  # purged: nothing of it may come back
        self._registry = registry
        self._changed = changed

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def place(self) -> Path:
        return self._registry.place(self.name)

    def change(self, **fields: object) -> None:
        """Raises StorageFailed, and then nothing has changed."""
        self.put(self.record.model_copy(update=fields))

    def put(self, record: Record) -> None:
        """Raises StorageFailed, and then nothing has changed."""
        if record != self.record and not self.gone:
            self._registry.put(record)
            self.record = record
        self._changed()

    def remove(self) -> None:
        """The instance is no more, and its files may be removed. Raises StorageFailed."""
        self._registry.give_up(self.name)
        self._registry.remove(self.name)
        self.gone = True

    def remove_files(self) -> None:
        """For a thread: a disk may take a while. Never fails."""
        self._registry.remove_files(self.name)
