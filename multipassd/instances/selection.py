"""The instances and snapshots that a request names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from multipassd.instances.finder import Finder
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged
from multipassd.instances.records.record import Snapshot
from multipassd.instances.snapshots import tree
from multipassd.instances.states.errors import Several
from protocol.errors import RpcError
from protocol.messages.common import InstanceSnapshotPair

Chosen = tuple[Instance, Snapshot]


@dataclass
class Selection:
    """Live, deleted and damaged instances, and snapshots of others or the same, each once."""

    instances: list[Instance | Damaged] = field(default_factory=list)
    snapshots: list[Chosen] = field(default_factory=list)


def read(instances: Finder, pairs: Sequence[InstanceSnapshotPair]) -> Selection:
    """All instances if there is no pair. Raises Several with all that is wrong."""
    if not pairs:
        return Selection(instances.everything())
    chosen, errors = Selection(), list[RpcError]()
    for name, snapshot in dict.fromkeys((each.instance_name, each.snapshot_name) for each in pairs):
        try:
            if snapshot is None:
                chosen.instances.append(instances.find(name))
            else:
                instance = instances.get(name)
                chosen.snapshots.append((instance, tree.find(instance.record, snapshot)))
        except RpcError as error:
            errors.append(error)
    if errors:
        raise Several(errors)
    return chosen


def only_snapshots(chosen: Selection) -> Selection:
    """In place of each instance all of its snapshots."""
    found = list(chosen.snapshots)
    for instance in chosen.instances:
        if isinstance(instance, Instance):
            found += [(instance, snapshot) for snapshot in instance.record.snapshots]
    return Selection([], [each for number, each in enumerate(found) if each not in found[:number]])
