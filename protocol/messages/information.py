"""Messages of `info`, `find` and `networks`."""

from __future__ import annotations

from protocol.codec import Message, boolean, int32, message, repeated, string
from protocol.messages.common import (
    InstanceSnapshotPair,
    InstanceStatus,
    SnapshotFundamentals,
    Timestamp,
    UpdateInfo,
)
from protocol.messages.mounts import MountInfo


class InfoRequest(Message):
    """The request of the call `info`."""

    instance_snapshot_pairs: list[InstanceSnapshotPair] = repeated(message(1, InstanceSnapshotPair))
    verbosity_level: int = int32(3)
    no_runtime_information: bool = boolean(4)
    snapshots: bool = boolean(5)


class InstanceDetails(Message):
    """What `info` tells of an instance; sizes are texts in bytes."""

    image_release: str = string(1)
    current_release: str = string(2)
    id: str = string(3)
    load: str = string(4)
    memory_usage: str = string(5)
    disk_usage: str = string(6)
    ipv4: list[str] = repeated(string(7))
    ipv6: list[str] = repeated(string(8))
    num_snapshots: int | None = int32(9, optional=True)
    cpu_times: str = string(10)
    uptime: str = string(11)
    creation_timestamp: Timestamp | None = message(12, Timestamp)
    # None of 1.16's fields:
    owner: str = string(1001)  # the name of the client that it belongs to
    location: str = string(1002)  # the host that it is on, where the driver has several
    reached: str = string(1003)  # how clients reach it, a clause; empty where nothing is to be said


class SnapshotDetails(Message):
    """What `info` tells of a snapshot."""

    fundamentals: SnapshotFundamentals | None = message(1, SnapshotFundamentals)
    size: str = string(2)
    children: list[str] = repeated(string(4))


class DetailedInfoItem(Message):
    """One instance or one snapshot in the reply of `info`."""

    name: str = string(1)
    instance_status: InstanceStatus | None = message(2, InstanceStatus)
    memory_total: str = string(3)
    disk_total: str = string(4)
    cpu_count: str = string(5)
    mount_info: MountInfo | None = message(6, MountInfo)
    instance_info: InstanceDetails | None = message(7, InstanceDetails, oneof="extra_info")
    snapshot_info: SnapshotDetails | None = message(8, SnapshotDetails, oneof="extra_info")


class InfoReply(Message):
    """The reply of the call `info`."""

    details: list[DetailedInfoItem] = repeated(message(1, DetailedInfoItem))
    snapshots: bool = boolean(2)
    log_line: str = string(3)
    update_info: UpdateInfo | None = message(4, UpdateInfo)


class FindRequest(Message):
    """The request of the call `find`."""

    search_string: str = string(1)
    remote_name: str = string(2)
    verbosity_level: int = int32(3)
    allow_unsupported: bool = boolean(4)
    show_images: bool = boolean(5)
    show_blueprints: bool = boolean(6)
    force_manifest_network_download: bool = boolean(7)


class AliasInfo(Message):
    """One name by which an image is found, and the remote that has it."""

    __qualname__ = "FindReply.AliasInfo"  # its name in the .proto; Python can't nest it there

    remote_name: str = string(1)
    alias: str = string(2)


class ImageInfo(Message):
    """One image in the reply of `find`."""

    __qualname__ = "FindReply.ImageInfo"

    os: str = string(1)
    release: str = string(2)
    version: str = string(3)
    aliases_info: list[AliasInfo] = repeated(message(4, AliasInfo))
    codename: str = string(5)


class FindReply(Message):
    """The reply of the call `find`."""

    show_images: bool = boolean(1)
    show_blueprints: bool = boolean(2)
    images_info: list[ImageInfo] = repeated(message(3, ImageInfo))
    blueprints_info: list[ImageInfo] = repeated(message(4, ImageInfo))
    log_line: str = string(5)


class NetworksRequest(Message):
    """The request of the call `networks`."""

    verbosity_level: int = int32(1)


class NetInterface(Message):
    """One network device of the host."""

    name: str = string(1)
    type: str = string(2)
    description: str = string(3)


class NetworksReply(Message):
    """The reply of the call `networks`."""

    interfaces: list[NetInterface] = repeated(message(1, NetInterface))
    log_line: str = string(2)
    update_info: UpdateInfo | None = message(3, UpdateInfo)
