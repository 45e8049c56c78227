"""Messages of the calls about access: authentication, settings, version, readiness."""

from __future__ import annotations

from protocol.codec import Message, boolean, int32, message, repeated, string, uint
from protocol.messages.common import UpdateInfo


class PingRequest(Message):
    """The request of the call `ping`."""


class PingReply(Message):
    """The reply of the call `ping`."""


class AuthenticateRequest(Message):
    """The request of the call `authenticate`."""

    passphrase: str = string(1)
    verbosity_level: int = int32(2)


class AuthenticateReply(Message):
    """The reply of the call `authenticate`."""

    log_line: str = string(1)


class VersionRequest(Message):
    """The request of the call `version`."""

    verbosity_level: int = int32(1)


class VersionReply(Message):
    """The reply of the call `version`."""

    version: str = string(1)
    log_line: str = string(2)
    update_info: UpdateInfo | None = message(3, UpdateInfo)


class GetRequest(Message):
    """The request of the call `get`."""

    key: str = string(1)
    verbosity_level: int = int32(2)


class GetReply(Message):
    """The reply of the call `get`."""

    value: str = string(1)
    log_line: str = string(2)


class SetRequest(Message):
    """The request of the call `set`."""

    key: str = string(1)
    val: str = string(2)
    verbosity_level: int = int32(3)
    authorized: bool = boolean(4)


class SetReply(Message):
    """The reply of the call `set`."""

    log_line: str = string(1)
    reply_message: str = string(2)
    needs_authorization: bool = boolean(3)


class KeysRequest(Message):
    """The request of the call `keys`."""

    verbosity_level: int = int32(1)


class KeysReply(Message):
    """The reply of the call `keys`."""

    log_line: str = string(1)
    settings_keys: list[str] = repeated(string(2))


class DaemonInfoRequest(Message):
    """The request of the call `daemon_info`."""

    verbosity_level: int = int32(1)


class DaemonInfoReply(Message):
    """The reply of the call `daemon_info`."""

    log_line: str = string(1)
    available_space: int = uint(2)
    cpus: int = uint(3)
    memory: int = uint(4)


class WaitReadyRequest(Message):
    """The request of the call `wait_ready`."""

    verbosity_level: int = int32(1)


class WaitReadyReply(Message):
    """The reply of the call `wait_ready`."""

    log_line: str = string(1)
