"""A damaged instance: given up with its disk, or rebuilt by the copy of its record."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from multipassd.instances.attachments.attachments import Attachments
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import CannotRebuild, Damaged
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.errors import NoSuchInstance
from multipassd.system import boot_id

if TYPE_CHECKING:
    from multipassd.instances.collection import Instances


async def purge(instances: Instances, damaged: Damaged) -> None:
    """Raises StorageFailed, NoSuchInstance where another purge or a recovery came first."""
    registry = instances.registry
    with _only_one(instances, damaged):
        registry.give_up(damaged.name)
        await instances.driver.clear(damaged.name)  # it may run all the same
        await instances.driver.remove(damaged.name)
        if damaged.copy is not None:
            copy = StoredRecord(damaged.copy, registry)
            await Attachments(copy, instances.networking, instances.servers).on_purge()
        registry.remove(damaged.name)
        await asyncio.to_thread(registry.remove_files, damaged.name)


async def rebuild(instances: Instances, damaged: Damaged) -> Instance:
    """An instance again, by the copy of its record. Raises CannotRebuild, StorageFailed."""
    if damaged.copy is None:
        raise CannotRebuild(damaged)
    with _only_one(instances, damaged):
        # It may run, and what is known is as old as the copy: so it is looked for.
        seen = {"phase": Phase.RUNNING, "boot": boot_id.current()}
        # A snapshot that was being taken by the copy may be complete.
        seen |= {"pending": None, "deleted": False, "stop_at": 0.0}
        record = damaged.copy.replace(**seen)
        instances.registry.rebuild(damaged, record)
        instance = instances.add(record)
        await instance.reattach()
        if not instance.busy:
            instance.change(ended_because=damaged.copy.ended_because)
    return instance


@contextmanager
def _only_one(instances: Instances, damaged: Damaged) -> Iterator[None]:
    """Reserve its name: only one purge or recovery at a time."""
    if instances.find(damaged.name) is not damaged:
        raise NoSuchInstance(damaged.name)
    instances.preparing[damaged.name] = damaged.owner
    try:
        yield
    finally:
        del instances.preparing[damaged.name]
