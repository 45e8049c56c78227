"""The keys of the settings that each instance has: `local.NAME.cpus` and so on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocol import quotas
from protocol.settings import DAEMON_PREFIX

PROPERTIES = ("bridged", "cpus", "disk", "memory")
NAME, OWNER = "name", "owner"  # in no list of keys: 1.16's clients know four


@dataclass(frozen=True)
class Key:
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


def keys(instances: Iterable[str]) -> list[str]:
    return [f"{DAEMON_PREFIX}{name}.{each}" for name in instances for each in PROPERTIES]
