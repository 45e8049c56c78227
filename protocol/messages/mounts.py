"""Messages of `mount` and `umount`, and how a mount is described."""

from __future__ import annotations

from enum import IntEnum

from protocol.codec import Message, boolean, int32, message, repeated, string, uint
from protocol.messages.common import TargetPathInfo


class IdMap(Message):
    """A user or group id of the host and the id it has in the instance."""

    host_id: int = int32(1)
    instance_id: int = int32(2)


class MountMaps(Message):
    """The id maps of a mount."""

    uid_mappings: list[IdMap] = repeated(message(1, IdMap))
    gid_mappings: list[IdMap] = repeated(message(2, IdMap))


class MountInfo(Message):
    """The mounts of an instance."""

    class MountPaths(Message):
        """One mount: its paths on the host and in the instance, and its id maps."""

        source_path: str = string(1)
        target_path: str = string(2)
        mount_maps: MountMaps | None = message(3, MountMaps)

    longest_path_len: int = uint(1)
    mount_paths: list[MountPaths] = repeated(message(2, MountPaths))


class MountRequest(Message):
    """The request of the call `mount`."""

    class MountType(IntEnum):
        """How a directory is mounted, by number on the wire."""

        CLASSIC = 0
        NATIVE = 1

    source_path: str = string(1)
    target_paths: list[TargetPathInfo] = repeated(message(2, TargetPathInfo))
    mount_maps: MountMaps | None = message(3, MountMaps)
    verbosity_level: int = int32(4)
    mount_type: int = int32(5)
    password: str = string(6)


class MountReply(Message):
    """The reply of the call `mount`."""

    log_line: str = string(1)
    reply_message: str = string(2)
    password_requested: bool = boolean(3)


class UmountRequest(Message):
    """The request of the call `umount`."""

    target_paths: list[TargetPathInfo] = repeated(message(1, TargetPathInfo))
    verbosity_level: int = int32(2)


class UmountReply(Message):
    """The reply of the call `umount`."""

    log_line: str = string(1)
