"""Messages of the calls that start, stop, end and reach instances."""

from __future__ import annotations

from enum import IntEnum

from protocol.codec import Message, boolean, int32, mapping, message, repeated, string
from protocol.messages.common import InstanceNames, InstanceSnapshotPair, UpdateInfo


class StartError(Message):
    class ErrorCode(IntEnum):
        OK = 0
        DOES_NOT_EXIST = 1
        INSTANCE_DELETED = 2
        OTHER = 3

    instance_errors: dict[str, int] = mapping(1, int32(2))


class StartRequest(Message):
    instance_names: InstanceNames | None = message(1, InstanceNames)
    verbosity_level: int = int32(2)
    timeout: int = int32(3)
    password: str = string(4)


class StartReply(Message):
    log_line: str = string(1)
    reply_message: str = string(2)
    update_info: UpdateInfo | None = message(3, UpdateInfo)
    password_requested: bool = boolean(4)


class StopRequest(Message):
    instance_names: InstanceNames | None = message(1, InstanceNames)
    time_minutes: int = int32(2)
    cancel_shutdown: bool = boolean(3)
    verbosity_level: int = int32(4)
    force_stop: bool = boolean(5)


class StopReply(Message):
    log_line: str = string(1)


class SuspendRequest(Message):
    instance_names: InstanceNames | None = message(1, InstanceNames)
    verbosity_level: int = int32(2)


class SuspendReply(Message):
    log_line: str = string(1)


class RestartRequest(Message):
    instance_names: InstanceNames | None = message(1, InstanceNames)
    verbosity_level: int = int32(2)
    timeout: int = int32(3)
    password: str = string(4)


class RestartReply(Message):
    log_line: str = string(1)
    reply_message: str = string(2)
    update_info: UpdateInfo | None = message(3, UpdateInfo)
    password_requested: bool = boolean(4)


class DeleteRequest(Message):
    instance_snapshot_pairs: list[InstanceSnapshotPair] = repeated(message(1, InstanceSnapshotPair))
    purge: bool = boolean(2)
    verbosity_level: int = int32(3)
    purge_snapshots: bool = boolean(4)


class DeleteReply(Message):
    log_line: str = string(1)
    purged_instances: list[str] = repeated(string(2))
    confirm_snapshot_purging: bool = boolean(3)


class RecoverRequest(Message):
    instance_names: InstanceNames | None = message(1, InstanceNames)
    verbosity_level: int = int32(2)


class RecoverReply(Message):
    log_line: str = string(1)


class PurgeRequest(Message):
    verbosity_level: int = int32(1)


class PurgeReply(Message):
    log_line: str = string(1)
    purged_instances: list[str] = repeated(string(2))


class SSHInfoRequest(Message):
    instance_name: list[str] = repeated(string(1))
    verbosity_level: int = int32(2)


class SSHInfo(Message):
    port: int = int32(1)
    priv_key_base64: str = string(2)
    host: str = string(3)
    username: str = string(4)


class SSHInfoReply(Message):
    ssh_info: dict[str, SSHInfo] = mapping(1, message(2, SSHInfo))
    log_line: str = string(2)
