"""The settings that each snapshot has: `local.INSTANCE.SNAPSHOT.name` and `.comment`.

The sentences are Multipass 1.16's. They are kept by the instance's record and can be changed in any
state of it.
"""

from __future__ import annotations

from multipassd.instances.finder import Finder
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import InstanceDamaged
from multipassd.instances.records.record import Record, Snapshot
from multipassd.instances.setting_keys import OF_SNAPSHOT, SnapshotKey
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


class NotAccessed(RpcError):
    """The snapshot of a setting is not there."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, reason: str, instance: str = "") -> None:
        whose = f" instance: {instance};" if instance else ""
        super().__init__(f"Cannot access snapshot settings;{whose} reason: {reason}")


def keys(record: Record) -> list[str]:
    return [
        f"{DAEMON_PREFIX}{record.name}.{snapshot.name}.{each}"
        for snapshot in record.snapshots
        for each in OF_SNAPSHOT
    ]


def show(instances: Finder, key: SnapshotKey) -> str:
    """Also of a deleted instance. Raises NotAccessed."""
    _, snapshot = _find(instances, key, live=False)
    return snapshot.name if key.property == "name" else snapshot.comment


def change(instances: Finder, key: SnapshotKey, value: str) -> None:
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


def _find(instances: Finder, key: SnapshotKey, *, live: bool) -> tuple[Instance, Snapshot]:
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
