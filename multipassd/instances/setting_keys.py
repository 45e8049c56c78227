"""The keys of the settings that each instance, and each snapshot, has: `local.NAME.cpus` and so on.
Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from protocol import quotas
from protocol.settings import DAEMON_PREFIX

PROPERTIES = ("bridged", "cpus", "disk", "memory")
OF_SNAPSHOT = ("comment", "name")
NAME, OWNER = "name", "owner"  # in no list of keys: 1.16's clients know four


class Key(NamedTuple):
    """`local.INSTANCE.PROPERTY`"""

    text: str
    instance: str
    property: str


def read_key(text: str) -> Key | None:
    """None for a key that is none of an instance."""
    if not text.startswith(DAEMON_PREFIX) or quotas.read_key(text):
        return None
    instance, point, name = text.removeprefix(DAEMON_PREFIX).rpartition(".")
    if name == NAME and "." in instance:
        return None  # of a snapshot
    known = point and instance and name in {*PROPERTIES, NAME, OWNER}
    return Key(text, instance, name) if known else None


class SnapshotKey(NamedTuple):
    """`local.INSTANCE.SNAPSHOT.PROPERTY`"""

    text: str
    instance: str
    snapshot: str
    property: str


def read_snapshot_key(text: str) -> SnapshotKey | None:
    """None for a key that is none of a snapshot."""
    parts = text.removeprefix(DAEMON_PREFIX).split(".")
    if not text.startswith(DAEMON_PREFIX) or len(parts) != 3 or not all(parts):
        return None
    return SnapshotKey(text, *parts) if parts[2] in OF_SNAPSHOT else None


def keys(instances: Iterable[str]) -> list[str]:
    return [f"{DAEMON_PREFIX}{name}.{each}" for name in instances for each in PROPERTIES]
