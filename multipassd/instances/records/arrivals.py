"""Records that another program has put there while the daemon runs, as `multipass-migrate` does."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from multipassd.instances.records.instance_directory import MAX_FILE
from multipassd.instances.records.record_text import record_of
from multipassd.instances.records.registry import Registry
from multipassd.system.files import TICK_SECONDS, read_regular

if TYPE_CHECKING:
    from multipassd.instances.records.record import Record


class Arrivals:
    """Noticed by the time stamp of the directory of records: a stat is all that a look costs."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._looked = -1  # when the directory had last changed when it was read

    def read(self, skipped: Collection[str]) -> list[Record]:
        """Those that are new, but for the names in `skipped`. Never fails."""
        try:
            changed = self._registry.directory.stat().st_mtime_ns
            if changed == self._looked:
                return []
            paths = self._registry.files()
        except OSError:
            return []
        known = set(self._registry.names())
        new = []
        for path in paths:
            if path.stem in known or path.stem in skipped:
                continue
            try:
                record = record_of(read_regular(path, MAX_FILE))
            except (OSError, ValueError):
                continue  # the next start tells
            if record.name == path.stem:
                self._registry.take_up(record)
                new.append(record)
        settled = time.time_ns() - changed > TICK_SECONDS * 1e9  # else more may come in this tick
        if settled and not any(path.stem in skipped for path in paths):
            self._looked = changed
        return new
