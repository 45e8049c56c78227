"""What a call can fail with: one class a cause, each with its gRPC status and its sentence.

The daemon raises them anywhere and maps them to the wire at one place
(`multipassd/rpc/dispatcher.py`).
The sentences of the first six are Multipass 1.16's, which scripts compare.
"""

from __future__ import annotations

from typing import ClassVar

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
    status = Status.UNAUTHENTICATED
    sentence = (
        "The client is not authenticated with the Multipass service.\n"
        "Please use 'multipass authenticate' before proceeding."
    )


class PassphraseNotSet(RpcError):
    status = Status.FAILED_PRECONDITION
    sentence = (
        "Passphrase is not set. Please `multipass set local.passphrase` with a trusted client."
    )


class WrongPassphrase(RpcError):
    status = Status.INVALID_ARGUMENT
    sentence = "Passphrase is not correct. Please try again."


class InvalidCertificate(RpcError):
    status = Status.INTERNAL
    sentence = "invalid certificate data"


class SocketAccessDenied(RpcError):
    """A peer that a closed socket would have kept out: the same words as the closed socket's."""

    status = Status.PERMISSION_DENIED
    sentence = "multipass socket access denied"


class UnknownSetting(RpcError):
    status = Status.INVALID_ARGUMENT

    def __init__(self, key: str) -> None:
        super().__init__(f"Unrecognized settings key: '{key}'")


class InvalidSetting(RpcError):
    """`value` is quoted to the caller: never hand a secret here."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, key: str, value: str, why: str) -> None:
        super().__init__(f"Invalid setting '{key}={value}': {why}")


class TooManyGuesses(RpcError):
    status = Status.RESOURCE_EXHAUSTED


class TooLarge(RpcError):
    """A request over its limit, or one more where all buffers are taken."""

    status = Status.RESOURCE_EXHAUSTED


class StoreDamaged(RpcError):
    """The trust store can't be relied on: nobody new is let in until it is mended."""

    # Not FAILED_PRECONDITION: to root's CLI that is 1.16's wish for a passphrase, which no
    # passphrase would fulfil here.
    status = Status.DATA_LOSS


class StorageFailed(RpcError):
    """The disk refused a write: nothing was changed."""

    status = Status.RESOURCE_EXHAUSTED  # nor this, for the same reason


class NotImplementedYet(RpcError):
    status = Status.UNIMPLEMENTED


class MalformedRequest(RpcError):
    status = Status.INTERNAL


class InternalError(RpcError):
    """An error nobody foresaw; the sentence names where the journal tells more."""

    status = Status.INTERNAL
