"""Messages of `snapshot`, `restore` and `clone`."""

from __future__ import annotations

from protocol.codec import Message, boolean, int32, string


class SnapshotRequest(Message):
    """The request of the call `snapshot`."""

    instance: str = string(1)
    snapshot: str = string(2)
    comment: str = string(3)
    verbosity_level: int = int32(4)


class SnapshotReply(Message):
    """The reply of the call `snapshot`."""

    snapshot: str = string(1)
    log_line: str = string(2)


class RestoreRequest(Message):
    """The request of the call `restore`."""

    instance: str = string(1)
    snapshot: str = string(2)
    destructive: bool = boolean(3)
    verbosity_level: int = int32(4)


class RestoreReply(Message):
    """The reply of the call `restore`."""

    log_line: str = string(1)
    reply_message: str = string(2)
    confirm_destructive: bool = boolean(3)


class CloneRequest(Message):
    """The request of the call `clone`."""

    source_name: str = string(1)
    destination_name: str | None = string(2, optional=True)
    verbosity_level: int = int32(3)


class CloneReply(Message):
    """The reply of the call `clone`."""

    reply_message: str = string(1)
    log_line: str = string(2)
