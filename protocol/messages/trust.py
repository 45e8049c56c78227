"""Messages of `multipass.Trust`, this project's own service.

Times are seconds since 1970; 0 is unknown.
"""

from __future__ import annotations

from protocol.codec import Message, binary, boolean, int32, int64, message, repeated, string


class TrustedClient(Message):
    """One trusted client, as an administrator sees it."""

    fingerprint: str = string(1)
    name: str = string(2)
    how: str = string(3)
    uid: int | None = int32(4, optional=True)
    enrolled_at: int = int64(5)
    last_seen: int = int64(6)
    role: str = string(7)
    expires: int = int64(8)  # its certificate


class Invitation(Message):
    """An invitation that was not used yet."""

    name: str = string(1)
    role: str = string(2)
    invited_by: str = string(3)
    made_at: int = int64(4)
    expires: int = int64(5)


class ClientsRequest(Message):
    """The request of the call `clients`."""


class Share(Message):
    """How much of one kind a person has and may have, as texts."""

    kind: str = string(1)
    used: str = string(2)
    limit: str = string(3)


class Quota(Message):
    """What is limited for one person."""

    name: str = string(1)
    shares: list[Share] = repeated(message(2, Share))


class ClientsReply(Message):
    """The reply of the call `clients`."""

    clients: list[TrustedClient] = repeated(message(1, TrustedClient))
    state: str = string(2)
    invitations: list[Invitation] = repeated(message(3, Invitation))
    former_key: list[str] = repeated(string(4))  # instances that may still let in a former SSH key
    quotas: list[Quota] = repeated(message(5, Quota))  # of the people that have one
    damage: list[str] = repeated(string(6))  # why clients may be missing here, a sentence each


class RemoveRequest(Message):
    """The request of the call `remove`."""

    fingerprint: str = string(1)


class RemoveReply(Message):
    """The reply of the call `remove`."""

    removed: bool = boolean(1)


class InviteRequest(Message):
    """The request of the call `invite`; without a role the name's, else a viewer's."""

    name: str = string(1)
    role: str = string(2)
    seconds: int = int64(3)


class InviteReply(Message):
    """The reply of the call `invite`: what to pass on, until when it is good, and where other
    machines reach the service, as HOST:PORT; empty if they can't."""

    line: str = string(1)
    role: str = string(2)
    expires: int = int64(3)
    tcp_address: str = string(4)
    note: str = string(10)  # a sentence for the one who invites


class RootsRequest(Message):
    """The request of the call `roots`."""


class RootsReply(Message):
    """The reply of the call `roots`: the certificates that verify the service, as PEM."""

    certificates: str = string(1)


class GrantRequest(Message):
    """The request of the call `grant`; `who` is a name or the beginning of a fingerprint."""

    who: str = string(1)
    role: str = string(2)
    force: bool = boolean(3)


class GrantReply(Message):
    """The reply of the call `grant`: the fingerprints that had another role."""

    changed: list[str] = repeated(string(1))


class RenewRequest(Message):
    """The request of the call `renew`: what the caller's certificate is exchanged for, DER. It has
    the key of that, which the connection has proven, and is signed by it."""

    certificate: bytes = binary(1)


class RenewReply(Message):
    """The reply of the call `renew`: the new certificate has taken the other's place."""


class RevokeRequest(Message):
    """The request of the call `revoke`; `who` as for `grant`."""

    who: str = string(1)
    force: bool = boolean(2)


class RevokeReply(Message):
    """The reply of the call `revoke`: who was trusted, and how many invitations are void now."""

    removed: list[str] = repeated(string(1))
    invitations: int = int32(2)
