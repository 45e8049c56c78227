"""What can't be done to an instance in its present state: a table for each command. Pure.

Where Multipass 1.16 has a sentence that is true, it is 1.16's, as scripts look for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multipassd.instances.states.errors import InstanceDeleted, WrongState
from protocol.messages.common import InstanceStatus

State = InstanceStatus.Status
RUNNING = (State.RUNNING, State.DELAYED_SHUTDOWN)
COMING_UP = (State.STARTING, State.RESTARTING)
MUST_BE_STOPPED = "Instance must be stopped for modification"
UNKNOWN = "Instance '{name}' is already running, but in an unknown state.\n"


@dataclass(frozen=True)
class Rule:
    """`reasons`: a sentence for each state that is in the way."""

    reasons: Mapping[int, str]
    deleted: bool = False  # may be done to a deleted instance
    # Also to a guest that runs and does not answer yet or any more, if no client waits for that:
    # then nothing is cut short.
    unattended: bool = False

    def check(self, name: str, state: int, *, unattended: bool = False) -> None:
        """Raises InstanceDeleted, WrongState."""
        if state == State.DELETED and not self.deleted:
            raise InstanceDeleted(name)
        if unattended and self.unattended and state in (*COMING_UP, State.UNKNOWN):
            return
        if reason := self.reasons.get(state):
            raise WrongState(reason.format(name=name))


_WHILE_ENDING = {
    State.SUSPENDING: "Cannot shut down instance {name} while suspending.",
    State.STARTING: "Cannot shut down instance {name} while starting.",
    State.RESTARTING: "Cannot shut down instance {name} while starting.",
    State.UNKNOWN: "Cannot shut down instance {name} in an unknown state.",
}

START = Rule(
    {
        State.SUSPENDING: "Cannot start the instance '{name}' while suspending.",
        State.UNKNOWN: UNKNOWN + "Try to stop it first.",
    }
)
STOP = Rule(
    {**_WHILE_ENDING, State.SUSPENDED: "Cannot shut down suspended instance {name}."},
    unattended=True,
)
# A suspended one keeps its state; a deleted one stays so.
DELETE = Rule(_WHILE_ENDING, deleted=True, unattended=True)
RESTART = Rule(
    {
        State.STOPPED: "Cannot restart instance '{name}', as it is stopped. "
        "`multipass start {name}` starts it.",
        State.SUSPENDED: "Cannot restart instance '{name}', as it is suspended. "
        "`multipass start {name}` lets it go on.",
        State.SUSPENDING: "Cannot restart instance '{name}' while suspending. "
        "`multipass start {name}` lets it go on once it is suspended.",
        State.STARTING: "Cannot restart instance '{name}' while starting. "
        "`multipass start {name}` waits until it answers.",
        State.RESTARTING: "Cannot restart instance '{name}' while restarting. "
        "`multipass start {name}` waits until it answers.",
        State.UNKNOWN: UNKNOWN + "Try to stop and start it instead.",
    }
)
SUSPEND = Rule(
    {
        State.STARTING: "Cannot suspend instance {name} while starting.",
        State.RESTARTING: "Cannot suspend instance {name} while starting.",
        State.UNKNOWN: UNKNOWN + "Try to stop it first.",
    }
)
FORCE = Rule({}, deleted=True)  # asks nobody
_NOT_STOPPED = (*RUNNING, *COMING_UP, State.SUSPENDING, State.SUSPENDED, State.UNKNOWN)
MODIFY = Rule(dict.fromkeys(_NOT_STOPPED, MUST_BE_STOPPED))
