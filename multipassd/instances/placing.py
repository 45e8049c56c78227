"""On which host of a cluster an instance is to be: what `launch --target` and `move` check before
anything is made or changed, and the move."""

from __future__ import annotations

from multipassd.drivers.interface import MOVE, TARGET, Driver, NotOnBackend
from multipassd.instances.instance import Instance
from multipassd.instances.states import transitions
from protocol import names
from protocol.errors import RpcError
from protocol.status import Status


class InvalidMember(RpcError):
    """The name can't be that of a host. It is not quoted, as it may be anything."""

    status = Status.INVALID_ARGUMENT
    sentence = (
        "The name of the cluster's member has other characters than letters, digits, hyphens, dots "
        f"and underscores, begins with one of the latter three, or is longer than "
        f"{names.MAX_MEMBER}. `multipass list --location` shows where instances are."
    )


def check(driver: Driver, member: str, feature: str) -> None:
    """Raises NotOnBackend, InvalidMember."""
    if not driver.places:
        raise NotOnBackend(feature)
    if not names.valid_member(member):
        raise InvalidMember


async def check_target(driver: Driver, member: str) -> None:
    """Of a launch; nothing to check where it names none. Raises NotOnBackend, InvalidMember,
    DriverError."""
    if member:
        check(driver, member, TARGET)
        await driver.check_place(member)


async def check_move(instance: Instance, driver: Driver, member: str) -> None:
    """Raises NotOnBackend, InvalidMember, WrongState, DriverError."""
    check(driver, member, MOVE)
    instance.check(transitions.RELOCATE)
    await driver.check_place(member)


async def move(instance: Instance, driver: Driver, member: str) -> bool:
    """With its snapshots. Was it elsewhere before? To be completed if the caller disconnects.
    Raises WrongState, DriverError, StorageFailed; then it is where it was."""
    async with instance.held(transitions.RELOCATE):
        if driver.place(instance.name) == member:
            return False
        await instance.snapshots.reconcile()
        await driver.move(instance.machine, member)
    return True
