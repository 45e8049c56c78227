"""Messages of `multipass.Trust`, this project's own service.

Times are seconds since 1970; 0 is unknown.
"""

from __future__ import annotations

from protocol.codec import Message, boolean, int32, int64, message, repeated, string


class TrustedClient(Message):
    """One trusted client, as an administrator sees it."""

    fingerprint: str = string(1)
    name: str = string(2)
    how: str = string(3)
    uid: int | None = int32(4, optional=True)
    enrolled_at: int = int64(5)
    last_seen: int = int64(6)


class ClientsRequest(Message):
    """The request of the call `clients`."""


class ClientsReply(Message):
    """The reply of the call `clients`."""

    clients: list[TrustedClient] = repeated(message(1, TrustedClient))
    state: str = string(2)


class RemoveRequest(Message):
    """The request of the call `remove`."""

    fingerprint: str = string(1)


class RemoveReply(Message):
    """The reply of the call `remove`."""

    removed: bool = boolean(1)
