"""Messages of `list`."""

from __future__ import annotations

from protocol.codec import Message, boolean, int32, message, repeated, string
from protocol.messages.common import InstanceStatus, SnapshotFundamentals, UpdateInfo


class ListRequest(Message):
    """The request of the call `list`."""

    verbosity_level: int = int32(1)
    snapshots: bool = boolean(2)
    request_ipv4: bool = boolean(3)


class ListVMInstance(Message):
    """One instance in the reply of `list`."""

    name: str = string(1)
    instance_status: InstanceStatus | None = message(2, InstanceStatus)
    ipv4: list[str] = repeated(string(3))
    ipv6: list[str] = repeated(string(4))
    current_release: str = string(5)
    location: str = string(1001)  # the host that it is on; none of 1.16's fields


class ListVMSnapshot(Message):
    """One snapshot in the reply of `list`."""

    name: str = string(1)
    fundamentals: SnapshotFundamentals | None = message(2, SnapshotFundamentals)


class InstancesList(Message):
    """The instances in the reply of `list`."""

    instances: list[ListVMInstance] = repeated(message(1, ListVMInstance))


class SnapshotsList(Message):
    """The snapshots in the reply of `list --snapshots`."""

    snapshots: list[ListVMSnapshot] = repeated(message(1, ListVMSnapshot))


class ListReply(Message):
    """The reply of the call `list`."""

    instance_list: InstancesList | None = message(1, InstancesList, oneof="list_contents")
    snapshot_list: SnapshotsList | None = message(2, SnapshotsList, oneof="list_contents")
    log_line: str = string(3)
    update_info: UpdateInfo | None = message(4, UpdateInfo)
