"""Messages that several calls share."""

from __future__ import annotations

from protocol.codec import Message, int32, int64, message, repeated, string


class Timestamp(Message):
    """google.protobuf.Timestamp: seconds and nanoseconds since 1970, UTC."""

    seconds: int = int64(1)
    nanos: int = int32(2)


class UpdateInfo(Message):
    """A newer release, as 1.16 announces it; empty if there is none."""

    version: str = string(1)
    url: str = string(2)
    title: str = string(3)
    description: str = string(4)


class InstanceNames(Message):
    """The instances that a call is about; empty for all, where the call allows it."""

    instance_name: list[str] = repeated(string(1))


class InstanceStatus(Message):
    """The state of an instance."""

    class Status:
        """Plain numbers: `enum` costs every `list` 3 ms."""

        UNKNOWN = 0
        RUNNING = 1
        STARTING = 2
        RESTARTING = 3
        STOPPED = 4
        DELETED = 5
        DELAYED_SHUTDOWN = 6
        SUSPENDING = 7
        SUSPENDED = 8

    status: int = int32(1)


class SnapshotFundamentals(Message):
    """What each answer about a snapshot contains."""

    snapshot_name: str = string(1)
    parent: str = string(2)
    comment: str = string(3)
    creation_timestamp: Timestamp | None = message(4, Timestamp)


class InstanceSnapshotPair(Message):
    """A snapshot by the names of its instance and its own; without it, the instance."""

    instance_name: str = string(1)
    snapshot_name: str | None = string(2, optional=True)


class TargetPathInfo(Message):
    """A path in an instance; empty for all of its mounts."""

    instance_name: str = string(1)
    target_path: str = string(2)
