"""Messages of `mount` and `umount`, and how a mount is described."""

from __future__ import annotations

from enum import IntEnum

from protocol.codec import Message, boolean, int32, message, repeated, string, uint
from protocol.messages.common import TargetPathInfo


class IdMap(Message):
    host_id: int = int32(1)
    instance_id: int = int32(2)


class MountMaps(Message):
    uid_mappings: list[IdMap] = repeated(message(1, IdMap))
    gid_mappings: list[IdMap] = repeated(message(2, IdMap))


class MountInfo(Message):
    class MountPaths(Message):
        source_path: str = string(1)
        target_path: str = string(2)
        mount_maps: MountMaps | None = message(3, MountMaps)

    longest_path_len: int = uint(1)
    mount_paths: list[MountPaths] = repeated(message(2, MountPaths))


class MountRequest(Message):
    class MountType(IntEnum):
        CLASSIC = 0
        NATIVE = 1

    source_path: str = string(1)
    target_paths: list[TargetPathInfo] = repeated(message(2, TargetPathInfo))
    mount_maps: MountMaps | None = message(3, MountMaps)
    verbosity_level: int = int32(4)
    mount_type: int = int32(5)
    password: str = string(6)


class MountReply(Message):
    log_line: str = string(1)
    reply_message: str = string(2)
    password_requested: bool = boolean(3)


class UmountRequest(Message):
    target_paths: list[TargetPathInfo] = repeated(message(1, TargetPathInfo))
    verbosity_level: int = int32(2)


class UmountReply(Message):
    log_line: str = string(1)
