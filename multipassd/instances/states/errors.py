"""What commands on instances can fail with. The sentences are Multipass 1.16's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocol.errors import RpcError
from protocol.messages.launch import LaunchError
from protocol.messages.lifecycle import StartError
from protocol.status import Status


class NoSuchInstance(RpcError):
    """No instance has the name."""

    status = Status.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f'instance "{name}" does not exist')


class InstanceDeleted(RpcError):
    """The command needs an instance that is not deleted."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, name: str) -> None:
        super().__init__(f'instance "{name}" is deleted')


class OfAnotherService(RpcError):
    """What only the service may do that has made the instance."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was made by another service, which shares it and alone deletes it."
        )


class NameTaken(RpcError):
    """An instance has the name of a new one."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, name: str, deleted: bool = False) -> None:
        hint = (
            f"\nIt is deleted. `multipass recover {name}` brings it back; "
            f"`multipass delete --purge {name}` removes it with its disk."
        )
        super().__init__(f'instance "{name}" already exists' + (hint if deleted else ""))


class NameNotFree(RpcError):
    """What has the name is no instance that could be used."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f'instance "{name}" already exists: {why}')


class NoSuchSnapshot(RpcError):
    """The instance has no snapshot of this name."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, instance: str, snapshot: str) -> None:
        super().__init__(f"No such snapshot: {instance}.{snapshot}")


class SnapshotExists(RpcError):
    """The instance has a snapshot of this name already."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, instance: str, snapshot: str) -> None:
        super().__init__(f"Snapshot already exists: {instance}.{snapshot}")


class SnapshotRefused(RpcError):
    """A new snapshot's name or comment can't be used, or there have been too many."""

    status = Status.INVALID_ARGUMENT


class BeingPrepared(RpcError):
    """A launch or a recovery of this name is under way."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, name: str) -> None:
        super().__init__(f'instance "{name}" is being prepared')


class WrongState(RpcError):
    """The instance can't do this in its present state."""

    status = Status.FAILED_PRECONDITION


class NotRunning(RpcError):
    """The CLI starts the instance on this status and asks again."""

    status = Status.ABORTED

    def __init__(self, name: str) -> None:
        super().__init__(f'instance "{name}" is not running')


class GuestSilent(Exception):
    """No answer over SSH: not there yet, gone, or another host key than it should have."""


class TimedOut(RpcError):
    """The guest did not answer, or was not initialised, in time."""

    status = Status.DEADLINE_EXCEEDED


class RepeatedAddress(RpcError):
    """Two network cards would have the same MAC address."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, mac: str) -> None:
        super().__init__(f"Repeated MAC address {mac}")


class Several(RpcError):
    """One line for each instance that failed."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, errors: Sequence[RpcError]) -> None:
        super().__init__(
            "The following errors occurred:\n" + "\n".join(error.message for error in errors)
        )
        self.status = errors[0].status  # type: ignore[misc]  # as the one that the caller acts on


class LaunchRefused(RpcError):
    """Wrong arguments; which ones is for the CLI to say."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, codes: Sequence[LaunchError.ErrorCodes]) -> None:
        super().__init__("Invalid arguments supplied")
        self.details = LaunchError(error_codes=[int(code) for code in codes]).encode()


class InstancesMissing(RpcError):
    """`start` does nothing unless all named instances are there."""

    status = Status.ABORTED

    def __init__(self, codes: Mapping[str, StartError.ErrorCode]) -> None:
        super().__init__("instance(s) missing")
        errors = {name: int(code) for name, code in codes.items()}
        self.details = StartError(instance_errors=errors).encode()
