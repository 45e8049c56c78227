"""Messages of the calls about access: authentication, settings, version, readiness."""

from __future__ import annotations

from protocol.codec import Message, boolean, int32, message, repeated, string, uint
from protocol.messages.common import UpdateInfo


class PingRequest(Message):
    pass


class PingReply(Message):
    pass


class AuthenticateRequest(Message):
    passphrase: str = string(1)
    verbosity_level: int = int32(2)


class AuthenticateReply(Message):
    log_line: str = string(1)


class VersionRequest(Message):
    verbosity_level: int = int32(1)


class VersionReply(Message):
    version: str = string(1)
    log_line: str = string(2)
    update_info: UpdateInfo | None = message(3, UpdateInfo)


class GetRequest(Message):
    key: str = string(1)
    verbosity_level: int = int32(2)


class GetReply(Message):
    value: str = string(1)
    log_line: str = string(2)


class SetRequest(Message):
    key: str = string(1)
    val: str = string(2)
    verbosity_level: int = int32(3)
    authorized: bool = boolean(4)


class SetReply(Message):
    log_line: str = string(1)
    reply_message: str = string(2)
    needs_authorization: bool = boolean(3)


class KeysRequest(Message):
    verbosity_level: int = int32(1)


class KeysReply(Message):
    log_line: str = string(1)
    settings_keys: list[str] = repeated(string(2))


class DaemonInfoRequest(Message):
    verbosity_level: int = int32(1)


class DaemonInfoReply(Message):
    log_line: str = string(1)
    available_space: int = uint(2)
    cpus: int = uint(3)
    memory: int = uint(4)


class WaitReadyRequest(Message):
    verbosity_level: int = int32(1)


class WaitReadyReply(Message):
    log_line: str = string(1)
