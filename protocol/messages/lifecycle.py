"""Messages of the calls that start, stop, end and reach instances."""

from __future__ import annotations

from enum import IntEnum

from protocol.codec import Message, boolean, int32, mapping, message, repeated, string
from protocol.messages.common import InstanceNames, InstanceSnapshotPair, UpdateInfo


class StartError(Message):
    """The details of a failed start: an ErrorCode for each instance."""

    class ErrorCode(IntEnum):
        """Why an instance was not started, by number on the wire."""

        OK = 0
        DOES_NOT_EXIST = 1
        INSTANCE_DELETED = 2
        OTHER = 3

    instance_errors: dict[str, int] = mapping(1, int32(2))


class StartRequest(Message):
    """The request of the call `start`."""

    instance_names: InstanceNames | None = message(1, InstanceNames)
    verbosity_level: int = int32(2)
    timeout: int = int32(3)
    password: str = string(4)


class StartReply(Message):
    """The reply of the call `start`."""

    log_line: str = string(1)
    reply_message: str = string(2)
    update_info: UpdateInfo | None = message(3, UpdateInfo)
    password_requested: bool = boolean(4)


class StopRequest(Message):
    """The request of the call `stop`."""

    instance_names: InstanceNames | None = message(1, InstanceNames)
    time_minutes: int = int32(2)
    cancel_shutdown: bool = boolean(3)
    verbosity_level: int = int32(4)
    force_stop: bool = boolean(5)


class StopReply(Message):
    """The reply of the call `stop`."""

    log_line: str = string(1)


class SuspendRequest(Message):
    """The request of the call `suspend`."""

    instance_names: InstanceNames | None = message(1, InstanceNames)
    verbosity_level: int = int32(2)


class SuspendReply(Message):
    """The reply of the call `suspend`."""

    log_line: str = string(1)


class RestartRequest(Message):
    """The request of the call `restart`."""

    instance_names: InstanceNames | None = message(1, InstanceNames)
    verbosity_level: int = int32(2)
    timeout: int = int32(3)
    password: str = string(4)


class RestartReply(Message):
    """The reply of the call `restart`."""

    log_line: str = string(1)
    reply_message: str = string(2)
    update_info: UpdateInfo | None = message(3, UpdateInfo)
    password_requested: bool = boolean(4)


class DeleteRequest(Message):
    """The request of the call `delet`."""

    instance_snapshot_pairs: list[InstanceSnapshotPair] = repeated(message(1, InstanceSnapshotPair))
    purge: bool = boolean(2)
    verbosity_level: int = int32(3)
    purge_snapshots: bool = boolean(4)


class DeleteReply(Message):
    """The reply of the call `delet`."""

    log_line: str = string(1)
    purged_instances: list[str] = repeated(string(2))
    confirm_snapshot_purging: bool = boolean(3)


class RecoverRequest(Message):
    """The request of the call `recover`."""

    instance_names: InstanceNames | None = message(1, InstanceNames)
    verbosity_level: int = int32(2)


class RecoverReply(Message):
    """The reply of the call `recover`."""

    log_line: str = string(1)


class PurgeRequest(Message):
    """The request of the call `purge`."""

    verbosity_level: int = int32(1)


class PurgeReply(Message):
    """The reply of the call `purge`."""

    log_line: str = string(1)
    purged_instances: list[str] = repeated(string(2))


class SSHInfoRequest(Message):
    """The request of the call `ssh_info`."""

    instance_name: list[str] = repeated(string(1))
    verbosity_level: int = int32(2)


class SSHInfo(Message):
    """How an instance is reached: address, port, user and private key."""

    port: int = int32(1)
    priv_key_base64: str = string(2)
    host: str = string(3)
    username: str = string(4)


class SSHInfoReply(Message):
    """The reply of the call `ssh_info`."""

    ssh_info: dict[str, SSHInfo] = mapping(1, message(2, SSHInfo))
    log_line: str = string(2)
