"""The state machine of an instance: commands × states, and events of the guest × states. Pure.

Where Multipass 1.16 has a sentence that is true, it is used to the letter, as scripts look for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from multipassd.instances.states.errors import InstanceDeleted, WrongState
from multipassd.instances.states.state import COMING_UP, State

MUST_BE_STOPPED = "Instance must be stopped for modification"
UNKNOWN = "Instance '{name}' is already running, but in an unknown state.\n"


@dataclass(frozen=True)
class Command:
    """One row of the table: in which states the command is refused, and where it leads.

    `refused`: a sentence for each state in which the command is refused.
    `begins`: the machine's state from the command's begin; None: it stays as it is.
    `ended`: the machine's state once the guest that the command ends has ended.
    """

    refused: Mapping[State, str]
    begins: State | None = None
    ended: State = State.STOPPED
    deleted: bool = False  # allowed for a deleted instance
    # Also allowed while a guest runs and does not answer, if no client waits for that: then the
    # command interrupts no other command.
    unattended: bool = False

    def check(self, name: str, state: State, *, unattended: bool = False) -> None:
        """Raises InstanceDeleted, WrongState."""
        if state is State.DELETED and not self.deleted:
            raise InstanceDeleted(name)
        if unattended and self.unattended and (state in COMING_UP or state is State.UNKNOWN):
            return
        if reason := self.refused.get(state):
            raise WrongState(reason.format(name=name))


_WHILE_ENDING = {
    State.SUSPENDING: "Cannot shut down instance {name} while suspending.",
    State.STARTING: "Cannot shut down instance {name} while starting.",
    State.RESTARTING: "Cannot shut down instance {name} while starting.",
    State.UNKNOWN: "Cannot shut down instance {name} in an unknown state.",
}

START = Command(
    {
        State.SUSPENDING: "Cannot start the instance '{name}' while suspending.",
        State.UNKNOWN: UNKNOWN + "Try to stop it first.",
    },
    begins=State.STARTING,
)
STOP = Command(
    {**_WHILE_ENDING, State.SUSPENDED: "Cannot shut down suspended instance {name}."},
    unattended=True,
)
# A suspended one keeps its state; a deleted one stays so.
DELETE = Command(_WHILE_ENDING, deleted=True, unattended=True)
RESTART = Command(
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
    },
    begins=State.RESTARTING,
    ended=State.RESTARTING,  # it boots again
)
SUSPEND = Command(
    {
        State.STARTING: "Cannot suspend instance {name} while starting.",
        State.RESTARTING: "Cannot suspend instance {name} while starting.",
        State.UNKNOWN: UNKNOWN + "Try to stop it first.",
    },
    begins=State.SUSPENDING,
    ended=State.SUSPENDING,  # until it is known whether its state was saved
)
FORCE = Command({}, deleted=True)  # `stop --force`, and a purge
_NOT_STOPPED = set(State) - {State.STOPPED, State.DELETED}
MODIFY = Command(dict.fromkeys(_NOT_STOPPED, MUST_BE_STOPPED))
SNAPSHOT = Command(
    dict.fromkeys(_NOT_STOPPED, "Multipass can only take snapshots of stopped instances.")
)
RESTORE = Command(
    dict.fromkeys(_NOT_STOPPED, "Multipass can only restore snapshots of stopped instances.")
)
CLONE = Command(dict.fromkeys(_NOT_STOPPED, "Multipass can only clone stopped instances."))
RELOCATE = Command(dict.fromkeys(_NOT_STOPPED, "Multipass can only move stopped instances."))
# In any other state: one that does not answer gets its mounts when it does.
MOUNT = Command({State.SUSPENDING: "Cannot change mounts of instance {name} while suspending."})
DROP_SNAPSHOT = Command(
    dict.fromkeys(
        _NOT_STOPPED - {State.SUSPENDED},
        "Cannot delete snapshots of {name} while it is running. `multipass stop {name}` stops it.",
    )
)


class Event(Enum):
    """What happens to a machine besides commands."""

    FOUND = auto()  # an earlier daemon's guest runs, and may or may not answer
    UNREACHABLE = auto()  # it runs, and the driver can't reach it
    ANSWERED = auto()  # SSH answers, or can't be tried on this host
    SILENT = auto()  # SSH did not answer in time
    WENT_ON = auto()  # it could not be suspended, and runs on
    NOT_THERE = auto()  # nothing runs: no guest was found, or its start failed


_UP = (*COMING_UP, State.UNKNOWN)
EVENTS: Mapping[Event, Mapping[State, State]] = {
    Event.FOUND: dict.fromkeys((State.STOPPED, State.UNKNOWN), State.STARTING),
    Event.UNREACHABLE: dict.fromkeys((State.STOPPED, State.UNKNOWN), State.UNKNOWN),
    Event.ANSWERED: dict.fromkeys(_UP, State.RUNNING),
    Event.SILENT: dict.fromkeys(COMING_UP, State.UNKNOWN),
    Event.WENT_ON: dict.fromkeys((State.SUSPENDING, State.RESTARTING), State.RUNNING),
    Event.NOT_THERE: dict.fromkeys((*_UP, State.SUSPENDING), State.STOPPED),
}


def after(state: State, event: Event) -> State:
    """The machine's next state; the same where the event changes nothing, e.g. an answer of a guest
    that is being suspended."""
    return EVENTS[event].get(state, state)


def after_end(command: Command | None) -> State:
    """The machine's state once its guest has ended, by this command or (None) by itself."""
    return State.STOPPED if command is None else command.ended
