"""What can't be done to an instance in its present state. Pure; the sentences are 1.16's."""

from __future__ import annotations

from multipassd.instances.errors import InstanceDeleted, WrongState
from protocol.messages.common import InstanceStatus

State = InstanceStatus.Status
RUNNING = (State.RUNNING, State.DELAYED_SHUTDOWN)
COMING_UP = (State.STARTING, State.RESTARTING)
MUST_BE_STOPPED = "Instance must be stopped for modification"


def start(name: str, state: int) -> None:
    if state == State.DELETED:
        raise InstanceDeleted(name)
    if state == State.SUSPENDING:
        raise WrongState(f"Cannot start the instance '{name}' while suspending.")
    if state == State.UNKNOWN:
        raise WrongState(_unknown(name, "Try to stop it first."))


def stop(name: str, state: int) -> None:
    reasons = {
        State.SUSPENDED: f"Cannot shut down suspended instance {name}.",
        State.SUSPENDING: f"Cannot shut down instance {name} while suspending.",
        State.STARTING: f"Cannot shut down instance {name} while starting.",
        State.RESTARTING: f"Cannot shut down instance {name} while starting.",
        State.UNKNOWN: f"Cannot shut down instance {name} in an unknown state.",
    }
    if state == State.DELETED:
        raise InstanceDeleted(name)
    if why := reasons.get(state):
        raise WrongState(why)


def delete(name: str, state: int) -> None:
    """A suspended one keeps its state; a deleted one stays so."""
    if state not in (State.SUSPENDED, State.DELETED):
        stop(name, state)


def restart(name: str, state: int) -> None:
    if state == State.DELETED:
        raise InstanceDeleted(name)
    if state not in RUNNING:
        raise WrongState(_unknown(name, "Try to stop and start it instead."))


def suspend(name: str, state: int) -> None:
    if state == State.DELETED:
        raise InstanceDeleted(name)
    if state in COMING_UP:
        raise WrongState(f"Cannot suspend instance {name} while starting.")
    if state == State.UNKNOWN:
        raise WrongState(_unknown(name, "Try to stop it first."))


def nothing(name: str, state: int) -> None:
    """Force asks nobody."""


def modify(name: str, state: int) -> None:
    if state != State.STOPPED:
        raise WrongState(MUST_BE_STOPPED)


def _unknown(name: str, advice: str) -> str:
    return f"Instance '{name}' is already running, but in an unknown state.\n{advice}"
