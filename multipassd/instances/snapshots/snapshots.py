"""The snapshots of one instance on its disk and in its record, which agree after any crash.

The record names the change before the disk is touched (`pending`), and names it no longer in the
same write that has its outcome. After a kill a snapshot that was being taken is dropped, one that
was being dropped is gone, and a state that was being restored is restored again. No snapshot of the
disk is dropped but those that a record names.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from multipassd.drivers.interface import (
    Driver,
    DriverError,
    Machine,
    NotOnBackend,
    SnapshotMissing,
)
from multipassd.instances.records.card_config import interfaces
from multipassd.instances.records.record import Change, Mount, Pending, Record, Snapshot
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.snapshots import tree
from multipassd.system import log
from protocol.errors import RpcError, StorageFailed

FEATURE = "snapshots"

_log = log.get("instances")


class Snapshots:
    """The caller holds the instance's lock, and its machine does not run, where anything is
    changed."""

    def __init__(
        self, stored: StoredRecord, driver: Driver, machine: Callable[[], Machine]
    ) -> None:
        self._stored = stored
        self._driver = driver
        self._machine = machine
        self._sizes: dict[str, int] = {}  # by tag; a snapshot's content never changes

    @property
    def _record(self) -> Record:
        return self._stored.record

    # -- taking -----------------------------------------------------------------------------------

    async def take(self, name: str = "", comment: str = "") -> Snapshot:
        """Durable when this returns. Raises SnapshotRefused, SnapshotExists, NotOnBackend,
        DriverError, StorageFailed; then nothing is left of it."""
        self._check_backend()
        await self.reconcile()
        tag = f"snapshot-{os.urandom(8).hex()}"
        snapshot = tree.new(self._record, name, comment, tag=tag, created=time.time())
        self._begin(Change.TAKE, tag)
        try:
            await self._driver.take_snapshot(self._machine(), tag)
            self._end(tree.added(self._record, snapshot))
        except Exception as error:
            with suppress(RpcError):  # else it stays pending
                await self.reconcile()
            if isinstance(error, DriverError):
                why = f"No snapshot of {self._record.name} was taken: {error.message}"
                raise DriverError(why) from None
            raise
        return snapshot

    # -- dropping ---------------------------------------------------------------------------------

    async def drop(self, snapshot: Snapshot) -> None:
        """Raises DriverError, StorageFailed; then it is there as before, or pending."""
        await self.reconcile()
        self._begin(Change.DROP, snapshot.tag)
        try:
            await self._driver.drop_snapshot(self._machine(), snapshot.tag)
        except RpcError:
            await self._drop_again(snapshot)
            return
        self._end(tree.without(self._record, snapshot))

    async def _drop_again(self, snapshot: Snapshot) -> None:
        """After a failure, which may have come before its removal or behind it: then there is
        nothing left to drop. Raises DriverError, StorageFailed."""
        try:
            await self._driver.drop_snapshot(self._machine(), snapshot.tag)
        except RpcError as error:
            self._end(self._record)
            why = f"{self._record.name}.{snapshot.name} was not deleted: {error.message}"
            raise DriverError(why) from None
        await self._driver.repair(self._machine())
        self._end(tree.without(self._record, snapshot))

    # -- returning --------------------------------------------------------------------------------

    async def restore(self, snapshot: Snapshot, mounts: tuple[Mount, ...]) -> None:
        """The present state is lost; of the snapshot's mounts these come back. Raises NotOnBackend,
        DriverError, StorageFailed; then it stays pending, and the machine can't be started until
        it is complete."""
        self._check_backend()
        if self._record.pending and self._record.pending.change is not Change.RESTORE:
            await self.reconcile()  # a restore that is pending is replaced by this one
        self._begin(Change.RESTORE, snapshot.tag, mounts)
        try:
            await self._restore(snapshot, mounts)
        except SnapshotMissing:
            self._end(self._record)
            raise self._lost(snapshot) from None
        except DriverError as error:
            raise DriverError(
                f"{self._record.name} is not restored yet: {error.message}\nOnce the cause is "
                "removed, `multipass restore` does it; else the instance's next start does."
            ) from None

    async def require(self, snapshot: Snapshot) -> None:
        """Raises SnapshotMissing where another program has removed it from the disk."""
        try:
            await self._driver.snapshot_size(self._machine(), snapshot.tag)
        except SnapshotMissing:
            raise self._lost(snapshot) from None
        except RpcError:
            return  # nothing is known

    def _lost(self, snapshot: Snapshot) -> SnapshotMissing:
        name = self._record.name
        return SnapshotMissing(
            f"The disk of {name} does not have the state of {snapshot.name}, so nothing was "
            "changed: another program has removed it. `multipass delete --purge "
            f"{name}.{snapshot.name}` forgets the snapshot."
        )

    async def _restore(self, snapshot: Snapshot, mounts: tuple[Mount, ...]) -> None:
        await self._driver.restore_snapshot(self._machine(), snapshot.tag)
        restored = tree.returned(self._record, snapshot, mounts)
        try:
            await self._restore_seed(restored)
        except OSError as error:
            name, why = self._record.name, error.strerror or error
            raise StorageFailed(f"The seed of {name} can't be written: {why}.") from error
        self._end(restored)

    async def _restore_seed(self, restored: Record) -> None:
        """Raises OSError."""
        _stage(restored.name, "restore, seed")
        if restored.networks != self._record.networks:
            await self._driver.add_interfaces(self._machine(), interfaces(restored))
        if restored.instance_id != self._record.instance_id:
            # As 1.16 changed it with the networks. With another one cloud-init would make host keys
            # anew, which clients don't know.
            await self._driver.set_instance_id(self._machine(), restored.instance_id)

    # -- names and comments -----------------------------------------------------------------------

    def change(self, snapshot: Snapshot, **fields: str) -> None:
        """Of its name or comment; in any state of the instance, with or without its lock. Raises
        SnapshotExists, StorageFailed."""
        self._stored.put(tree.changed(self._record, snapshot, **fields))

    # -- after a crash ----------------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Complete or undo what is pending. Raises DriverError, StorageFailed; it stays pending."""
        pending = self._record.pending
        if pending is None:
            return
        _log.info("a snapshot of %s: %s", self._record.name, _OUTCOME[pending.change])
        snapshot = next((each for each in self._record.snapshots if each.tag == pending.tag), None)
        machine, left = self._machine(), self._record
        if pending.change is Change.RESTORE and snapshot is not None:
            await self._driver.repair(machine)
            await self._restore(snapshot, pending.mounts)
            return
        if pending.change is Change.TAKE and snapshot is None:  # else it is a user's
            await self._driver.drop_snapshot(machine, pending.tag)
        elif pending.change is Change.DROP and snapshot is not None:
            await self._driver.drop_snapshot(machine, pending.tag)
            left = tree.without(left, snapshot)
        await self._driver.repair(machine)
        self._end(left)

    async def complete(self, lock: asyncio.Lock) -> None:
        """The same, as soon as the instance is free. Never fails."""
        async with lock:
            try:
                await self.reconcile()
            except RpcError as error:  # the next command tries again
                _log.warning("%s: what is pending stays so: %s", self._record.name, error.message)

    async def prepare_start(self) -> None:
        """Raises DriverError, StorageFailed where a restore can't be completed. What else is
        pending can wait until the machine is stopped: it does not concern the present state."""
        pending = self._record.pending
        try:
            await self.reconcile()
        except RpcError as error:
            if pending is not None and pending.change is Change.RESTORE:
                raise
            _log.warning("%s: what is pending stays so: %s", self._record.name, error.message)

    def _begin(self, change: Change, tag: str, mounts: tuple[Mount, ...] = ()) -> None:
        """Raises StorageFailed, and then nothing has changed."""
        self._stored.change(pending=Pending(change=change, tag=tag, mounts=mounts))
        _stage(self._record.name, f"{change.value}, pending")

    def _end(self, record: Record) -> None:
        _stage(self._record.name, "record")
        self._stored.put(record.replace(pending=None))
        _stage(self._record.name, "done")

    # -- showing ----------------------------------------------------------------------------------

    async def sizes(self) -> Mapping[str, int]:
        """Bytes, by tag, see `Driver.snapshot_size`; without those that can't be told."""
        known = {each.tag for each in self._record.snapshots}
        for tag in known - self._sizes.keys():
            with suppress(RpcError):
                self._sizes[tag] = await self._driver.snapshot_size(self._machine(), tag)
        return {tag: size for tag, size in self._sizes.items() if tag in known}

    def _check_backend(self) -> None:
        if not self._driver.keeps_snapshots:
            raise NotOnBackend(FEATURE)


_OUTCOME = {
    Change.TAKE: "taking it was broken off, and is undone",
    Change.DROP: "its deletion is completed",
    Change.RESTORE: "its restore is completed",
}


def _stage(name: str, stage: str) -> None:
    _log.debug("snapshot of %s: %s", name, stage)
