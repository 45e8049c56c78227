"""The snapshots in an instance's record: found by name, added, removed, returned to. Pure.

The sentences are Multipass 1.16's.
"""

from __future__ import annotations

import re
from collections.abc import Container

from multipassd.instances.records.record import Mount, Record, Snapshot
from multipassd.instances.states.errors import NoSuchSnapshot, SnapshotExists, SnapshotRefused
from protocol import names

MAX_INDEX = 9999  # snapshots that an instance can ever have had, as in 1.16
MAX_NAME = 63  # as for instances
# A record is written whole at each change. 1,000 comments of this size fit in (MAX_FILE).
MAX_COMMENT = 4096  # characters
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # but for those that are shown
DEFAULT_NAME = "snapshot"


def find(record: Record, name: str) -> Snapshot:
    """Raises NoSuchSnapshot."""
    for snapshot in record.snapshots:
        if snapshot.name == name:
            return snapshot
    raise NoSuchSnapshot(record.name, name)


def parent(record: Record, snapshot: Snapshot) -> str:
    """Its parent's name; empty if it has none."""
    return next((each.name for each in record.snapshots if each.index == snapshot.parent), "")


def children(record: Record, snapshot: Snapshot) -> list[str]:
    return [each.name for each in record.snapshots if each.parent == snapshot.index]


def new(record: Record, name: str, comment: str, *, tag: str, created: float) -> Snapshot:
    """Of the instance as it is; without a name, with the next default one. Raises
    SnapshotRefused, SnapshotExists."""
    index = record.snapshots_taken + 1
    if index > MAX_INDEX:
        raise SnapshotRefused(f"Maximum number of snapshots exceeded: {MAX_INDEX}")
    check_comment(comment)
    taken = {each.name for each in record.snapshots}
    chosen = name or _default_name(index, taken)
    check_name(chosen)
    if chosen in taken:
        raise SnapshotExists(record.name, chosen)
    return Snapshot(
        name=chosen,
        index=index,
        tag=tag,
        parent=record.snapshot_head,
        comment=comment,
        created=created,
        instance_id=record.instance_id,
        ssh_authority=record.ssh_authority,
        cpus=record.cpus,
        memory=record.memory,
        disk=record.disk,
        networks=record.networks,
        mounts=record.mounts,
        ssh_key=record.ssh_key,
    )


def _default_name(number: int, taken: Container[str]) -> str:
    """Further on where a user gave this name to another snapshot."""
    while (name := f"{DEFAULT_NAME}{number}") in taken:
        number += 1
    return name


def check_name(name: str) -> None:
    """Raises SnapshotRefused."""
    if not names.valid(name) or len(name) > MAX_NAME:
        raise SnapshotRefused(f'Invalid snapshot name: "{name}".')


def check_comment(comment: str) -> None:
    """It is shown on other users' terminals. Raises SnapshotRefused."""
    if len(comment) > MAX_COMMENT:
        raise SnapshotRefused(f"The comment is longer than {MAX_COMMENT} characters.")
    if CONTROLS.search(comment):
        raise SnapshotRefused("The comment has control characters, which can't be shown.")


def added(record: Record, snapshot: Snapshot) -> Record:
    """The present state descends from it. Raises SnapshotExists, where another one was given its
    name while it was taken."""
    if any(each.name == snapshot.name for each in record.snapshots):
        raise SnapshotExists(record.name, snapshot.name)
    return record.replace(
        snapshots=(*record.snapshots, snapshot),
        snapshot_head=snapshot.index,
        snapshots_taken=snapshot.index,
    )


def without(record: Record, snapshot: Snapshot) -> Record:
    """What descends from it descends from its parent then."""
    left = tuple(
        each.replace(parent=snapshot.parent) if each.parent == snapshot.index else each
        for each in record.snapshots
        if each.index != snapshot.index
    )
    head = snapshot.parent if record.snapshot_head == snapshot.index else record.snapshot_head
    return record.replace(snapshots=left, snapshot_head=head)


def returned(record: Record, snapshot: Snapshot, mounts: tuple[Mount, ...]) -> Record:
    """As the instance was when the snapshot was taken, with these of its mounts."""
    return record.replace(
        snapshot_head=snapshot.index,
        instance_id=snapshot.instance_id,
        ssh_authority=snapshot.ssh_authority,
        cpus=snapshot.cpus,
        memory=snapshot.memory,
        disk=snapshot.disk,
        networks=snapshot.networks,
        mounts=mounts,
        ssh_key=record.ssh_key if snapshot.ssh_key is None else snapshot.ssh_key,
        ssh_key_alone="",  # it may let in keys that were removed since
    )


def changed(record: Record, snapshot: Snapshot, **fields: str) -> Record:
    """With another name or comment of the snapshot. Raises SnapshotExists."""
    others = {each.name for each in record.snapshots if each.index != snapshot.index}
    if fields.get("name") in others:
        raise SnapshotExists(record.name, fields["name"])
    return record.replace(
        snapshots=tuple(
            each.replace(**fields) if each.index == snapshot.index else each
            for each in record.snapshots
        )
    )
