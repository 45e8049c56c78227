"""An instance gets another name: its record's file and its directory have it, so both change.

The record under the new name comes first and names the old one (`renamed_from`): from then on the
instance has the new name, and a start after a kill does the rest. Then the directory is renamed,
the old record is removed, and last the mark.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from multipassd.instances.records.instance_directory import FILE_MODE, MAX_FILE
from multipassd.instances.records.record import Record, record_of, text_of
from multipassd.system import log
from multipassd.system.files import read_regular, sync_directory, write_atomically
from protocol.errors import StorageFailed

if TYPE_CHECKING:
    from multipassd.instances.records.registry import Registry

_log = log.get("instances")


def rename(registry: Registry, record: Record, name: str) -> Record:
    """The name is free and the instance stopped, which the caller has seen to. Raises
    StorageFailed, and then nothing has changed."""
    old = record.name
    renamed = record.replace(name=name, renamed_from=old)
    path = registry.file(name)
    try:
        write_atomically(path, text_of(renamed), FILE_MODE)
        _stage(old, "directory")
        _rename_directory(registry.place(old), registry.place(name))
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise StorageFailed(
            f"{old} can't be renamed: {error.strerror or error}. Nothing was changed. Please look "
            "at the disk of the service's data."
        ) from error
    registry.forget(old)
    registry.take_up(renamed)
    return complete(registry, renamed)


def complete(registry: Registry, record: Record) -> Record:
    """The rest, also after a kill. Never fails: what could not be done is done at the next
    start."""
    old, new = registry.place(record.renamed_from), registry.place(record.name)
    try:
        if os.path.lexists(old) and not os.path.lexists(new):
            _rename_directory(old, new)
        _stage(record.renamed_from, "old record")
        former = registry.file(record.renamed_from)
        if is_former(former, record):
            former.unlink()
            sync_directory(former.parent)
        _stage(record.renamed_from, "mark")
        done = record.replace(renamed_from="")
        registry.put(done)
    except (OSError, StorageFailed) as error:
        _log.warning("the next start completes the renaming of %s: %s", record.name, error)
        return record
    return done


def is_former(path: Path, record: Record) -> bool:
    """Is this file the record that the instance had under its old name? Not that of a later
    instance."""
    try:
        return record_of(read_regular(path, MAX_FILE)).mac == record.mac
    except (OSError, ValueError):
        return False


def _rename_directory(old: Path, new: Path) -> None:
    os.rename(old, new)
    sync_directory(new.parent)


def _stage(name: str, stage: str) -> None:
    _log.debug("renaming of %s: %s", name, stage)
