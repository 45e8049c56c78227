"""Errors of calls: one class for each cause, with its gRPC status and its message.

The daemon raises them anywhere and maps them to the wire at one place
(`multipassd/rpc/dispatcher.py`).
The sentences of the first six are Multipass 1.16's, which scripts compare.
"""

from __future__ import annotations

import time
from typing import ClassVar

from protocol.roles import Role
from protocol.status import Status


class RpcError(Exception):
    """A call failed. `message` goes to the caller's terminal, so it holds no secret."""

    status: ClassVar[Status] = Status.UNKNOWN
    sentence: ClassVar[str] = ""
    details: bytes = b""  # a message for the caller's program, as Multipass 1.16 sends it

    def __init__(self, message: str | None = None) -> None:
        self.message = self.sentence if message is None else message
        super().__init__(self.message)


class NotAuthenticated(RpcError):
    """The client's certificate is not trusted, or it has none."""

    status = Status.UNAUTHENTICATED
    sentence = (
        "The client is not authenticated with the Multipass service.\n"
        "Please use 'multipass authenticate' before proceeding."
    )


class NoFirstClient(RpcError):
    """The trust store is empty, and the caller does not become the first client by its call."""

    status = Status.UNAUTHENTICATED

    def __init__(self, why: str) -> None:
        super().__init__(
            f"No client is trusted yet, and none becomes the first by itself: {why}.\n"
            "An administrator lets a client in with 'sudo multipass invite NAME --role admin', "
            "with multipass-trust, or root's own with 'sudo multipass authenticate'."
        )


class CertificateExpired(RpcError):
    """The client's certificate has ended, and the service refuses such. `ends`: in seconds since
    1970; no moment that a calendar has where the certificate says none."""

    status = Status.UNAUTHENTICATED

    def __init__(self, ends: float) -> None:
        known = 0 < ends < 253402300800  # the year 10000
        when = time.strftime(" on %Y-%m-%d", time.gmtime(ends)) if known else ""
        super().__init__(
            f"The client's certificate ended{when}, and the service refuses such certificates "
            "(local.refuse-expired).\n"
            "Move the directory multipass-client-certificate away, and authenticate anew with an "
            "invitation."
        )


class PassphraseNotSet(RpcError):
    """`authenticate` was called, and the service has no passphrase."""

    status = Status.FAILED_PRECONDITION
    sentence = (
        "Passphrase is not set. Please `multipass set local.passphrase` with a trusted client."
    )


class WrongPassphrase(RpcError):
    """The passphrase of `authenticate` is not the service's."""

    status = Status.INVALID_ARGUMENT
    sentence = "Passphrase is not correct. Please try again."


class InvalidCertificate(RpcError):
    """The client's certificate can't be parsed."""

    status = Status.INTERNAL
    sentence = "invalid certificate data"


class SocketAccessDenied(RpcError):
    """The peer is neither root nor in the admin group, and only those may connect yet."""

    status = Status.PERMISSION_DENIED
    sentence = "multipass socket access denied"


class NotForRole(RpcError):
    """The client is trusted, and its role does not allow the call."""

    status = Status.PERMISSION_DENIED

    def __init__(self, role: Role) -> None:
        super().__init__(
            f"Your role '{role}' does not allow this.\n"
            "An administrator can change that with 'multipass grant'."
        )


class NotRenewed(RpcError):
    """The client's new certificate can't take the place of the one that it has."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, why: str) -> None:
        super().__init__(f"The certificate was not renewed: {why}.")


class UnknownSetting(RpcError):
    """There is no setting with this key."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, key: str) -> None:
        super().__init__(f"Unrecognized settings key: '{key}'")


class InvalidSetting(RpcError):
    """The value is not valid for this setting. It is quoted to the caller: never pass a secret."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, key: str, value: str, why: str) -> None:
        super().__init__(f"Invalid setting '{key}={value}': {why}")


class TooManyGuesses(RpcError):
    """The rate limit for wrong passphrases is exceeded."""

    status = Status.RESOURCE_EXHAUSTED


class TooLarge(RpcError):
    """The request exceeds its size limit, or all request buffers are in use."""

    status = Status.RESOURCE_EXHAUSTED


class TooManyStreams(RpcError):
    """A person has as many calls of this kind as it may have."""

    status = Status.RESOURCE_EXHAUSTED


class Stopping(RpcError):
    """The service stops, and with it a call that would not end by itself."""

    status = Status.UNAVAILABLE
    sentence = "The service on the instance's host stops or restarts. Please try again."


class StoreDamaged(RpcError):
    """The trust store is damaged: no new client is trusted until it is repaired."""

    # Not FAILED_PRECONDITION: root's CLI takes that for 1.16's request for a passphrase, and no
    # passphrase would help here.
    status = Status.DATA_LOSS


class StorageFailed(RpcError):
    """A write to disk failed: nothing was changed."""

    status = Status.RESOURCE_EXHAUSTED  # not FAILED_PRECONDITION, for the same reason


class NotImplementedYet(RpcError):
    """A call of Multipass 1.16 that this service does not support."""

    status = Status.UNIMPLEMENTED


class MalformedRequest(RpcError):
    """The request is not a valid message of the call."""

    status = Status.INTERNAL


class InternalError(RpcError):
    """An unexpected exception; the message says where its traceback is logged."""

    status = Status.INTERNAL
