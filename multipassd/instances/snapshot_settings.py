"""The settings that each snapshot has: `local.INSTANCE.SNAPSHOT.name` and `.comment`.

The sentences are Multipass 1.16's. They are kept by the instance's record and can be changed in any
state of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from multipassd.instances.finder import Finder
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import InstanceDamaged
from multipassd.instances.records.record import Record, Snapshot
from multipassd.instances.snapshots import tree
from multipassd.instances.states.errors import (
    BeingPrepared,
    InstanceDeleted,
    NoSuchInstance,
    NoSuchSnapshot,
    SnapshotRefused,
)
from protocol.errors import InvalidSetting, RpcError
from protocol.settings import DAEMON_PREFIX
from protocol.status import Status

PROPERTIES = ("comment", "name")


class NotAccessed(RpcError):
    """The snapshot of a setting is not there."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, reason: str, instance: str = "") -> None:
        whose = f" instance: {instance};" if instance else ""
        super().__init__(f"Cannot access snapshot settings;{whose} reason: {reason}")


@dataclass(frozen=True)
class Key:
    """`local.INSTANCE.SNAPSHOT.PROPERTY`"""

    text: str
    instance: str
    snapshot: str
    property: str


def read_key(text: str) -> Key | None:
    """None for a key that is none of a snapshot."""
    parts = text.removeprefix(DAEMON_PREFIX).split(".")
    if not text.startswith(DAEMON_PREFIX) or len(parts) != 3 or not all(parts):
        return None
    return Key(text, *parts) if parts[2] in PROPERTIES else None


def keys(record: Record) -> list[str]:
    return [
        f"{DAEMON_PREFIX}{record.name}.{snapshot.name}.{each}"
        for snapshot in record.snapshots
        for each in PROPERTIES
    ]


def show(instances: Finder, key: Key) -> str:
    """Also of a deleted instance. Raises NotAccessed."""
    _, snapshot = _find(instances, key, live=False)
    return snapshot.name if key.property == "name" else snapshot.comment


def change(instances: Finder, key: Key, value: str) -> None:
    """Kept when this returns. Raises NotAccessed, InvalidSetting, SnapshotExists, StorageFailed."""
    instance, snapshot = _find(instances, key, live=True)
    try:
        if key.property == "name":
            tree.check_name(value)
        else:
            tree.check_comment(value)
    except SnapshotRefused as error:
        why = "Invalid snapshot name." if key.property == "name" else error.message
        raise InvalidSetting(key.text, value, why) from None
    instance.snapshots.change(snapshot, **{key.property: value})


def _find(instances: Finder, key: Key, *, live: bool) -> tuple[Instance, Snapshot]:
    try:
        instance = (instances.get_live if live else instances.get)(key.instance)
        return instance, tree.find(instance.record, key.snapshot)
    except NoSuchInstance:
        raise NotAccessed("No such instance", key.instance) from None
    except InstanceDeleted:
        raise NotAccessed("Instance is deleted", key.instance) from None
    except BeingPrepared:
        raise NotAccessed("instance is being prepared", key.instance) from None
    except InstanceDamaged as error:
        raise NotAccessed(error.message, key.instance) from None
    except NoSuchSnapshot as error:
        raise NotAccessed(error.message) from None
