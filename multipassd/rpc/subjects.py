"""What a request names: the subject of the record about a call that failed as a whole."""

from __future__ import annotations

from collections.abc import Iterable

from multipassd.audit.deed import Subject
from multipassd.instances import setting_keys
from protocol.codec import Message
from protocol.messages.access import SetRequest
from protocol.messages.common import InstanceNames, InstanceSnapshotPair, TargetPathInfo

# Fields of requests that name an instance, several, or a client.
NAMES = ("instance_name", "instance", "source_name", "instance_names", "target_paths")
PAIRS = "instance_snapshot_pairs"
CLIENTS = ("who", "fingerprint", "name")


def subject_of(request: Message) -> Subject:
    """Never fails: what names nothing has an empty subject."""
    if isinstance(request, SetRequest):
        return _of_setting(request.key)
    instances = [
        name for field in (*NAMES, PAIRS) for name in _names(getattr(request, field, None))
    ]
    snapshot = getattr(request, "snapshot", "")
    pairs: list[InstanceSnapshotPair] = getattr(request, PAIRS, [])
    if len(pairs) == 1:
        snapshot = pairs[0].snapshot_name or ""
    client = next((getattr(request, each) for each in CLIENTS if hasattr(request, each)), "")
    return Subject(tuple(dict.fromkeys(instances)), snapshot, "", client)


def _of_setting(key: str) -> Subject:
    found = setting_keys.read_key(key) or setting_keys.read_snapshot_key(key)
    return Subject((found.instance,) if found else (), setting=key)


def _names(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, InstanceNames):
        return value.instance_name
    if isinstance(value, InstanceSnapshotPair | TargetPathInfo):
        return (value.instance_name,)
    if isinstance(value, list | tuple):
        return [name for each in value for name in _names(each)]
    return ()
