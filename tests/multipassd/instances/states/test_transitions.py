"""All commands in all states: what is done, and the one sentence that says why not."""

from __future__ import annotations

import pytest

from multipassd.instances.states import transitions
from multipassd.instances.states.errors import InstanceDeleted, WrongState
from multipassd.instances.states.machine_state import MachineState
from multipassd.instances.states.state import State, visible
from multipassd.instances.states.transitions import EVENTS, Command, Event
from multipassd.rpc.methods.listing import ON_WIRE
from protocol.messages.common import InstanceStatus

Status = InstanceStatus.Status
DONE = ""
DELETED = 'instance "foo" is deleted'
STARTING = "Cannot shut down instance foo while starting."
SUSPENDING = "Cannot shut down instance foo while suspending."
UNKNOWN = "Instance 'foo' is already running, but in an unknown state.\n"
MODIFY = "Instance must be stopped for modification"
STOPPED = "Multipass can only {} stopped instances."
DROP = "Cannot delete snapshots of foo while it is running. `multipass stop foo` stops it."

STATES = (
    State.STOPPED, State.STARTING, State.RESTARTING, State.RUNNING, State.DELAYED_SHUTDOWN,
    State.SUSPENDING, State.SUSPENDED, State.UNKNOWN, State.DELETED,
)  # fmt: skip

MOUNT = "Cannot change mounts of instance foo while suspending."
TABLE = {
    "START": (
        DONE, DONE, DONE, DONE, DONE,
        "Cannot start the instance 'foo' while suspending.", DONE,
        UNKNOWN + "Try to stop it first.", DELETED,
    ),
    "STOP": (
        DONE, STARTING, STARTING, DONE, DONE,
        SUSPENDING, "Cannot shut down suspended instance foo.",
        "Cannot shut down instance foo in an unknown state.", DELETED,
    ),
    "DELETE": (
        DONE, STARTING, STARTING, DONE, DONE,
        SUSPENDING, DONE, "Cannot shut down instance foo in an unknown state.", DONE,
    ),
    "RESTART": (
        "Cannot restart instance 'foo', as it is stopped. `multipass start foo` starts it.",
        "Cannot restart instance 'foo' while starting. "
        "`multipass start foo` waits until it answers.",
        "Cannot restart instance 'foo' while restarting. "
        "`multipass start foo` waits until it answers.",
        DONE, DONE,
        "Cannot restart instance 'foo' while suspending. "
        "`multipass start foo` lets it go on once it is suspended.",
        "Cannot restart instance 'foo', as it is suspended. `multipass start foo` lets it go on.",
        UNKNOWN + "Try to stop and start it instead.", DELETED,
    ),
    "SUSPEND": (
        DONE, "Cannot suspend instance foo while starting.",
        "Cannot suspend instance foo while starting.", DONE, DONE,
        DONE, DONE, UNKNOWN + "Try to stop it first.", DELETED,
    ),
    "MODIFY": (DONE, MODIFY, MODIFY, MODIFY, MODIFY, MODIFY, MODIFY, MODIFY, DELETED),
    "SNAPSHOT": (DONE, *((STOPPED.format("take snapshots of"),) * 7), DELETED),
    "RESTORE": (DONE, *((STOPPED.format("restore snapshots of"),) * 7), DELETED),
    "CLONE": (DONE, *((STOPPED.format("clone"),) * 7), DELETED),
    "RELOCATE": (DONE, *((STOPPED.format("move"),) * 7), DELETED),
    "DROP_SNAPSHOT": (DONE, DROP, DROP, DROP, DROP, DROP, DONE, DROP, DELETED),
    "MOUNT": (DONE, DONE, DONE, DONE, DONE, MOUNT, DONE, DONE, DELETED),
    "FORCE": (DONE,) * len(STATES),
}  # fmt: skip

# With a guest that runs, and no client that waits for its answer.
UNATTENDED = {("STOP", state) for state in (State.STARTING, State.RESTARTING, State.UNKNOWN)}
UNATTENDED |= {("DELETE", state) for _, state in UNATTENDED}

CELLS = [
    (name, state, text)
    for name, texts in TABLE.items()
    for state, text in zip(STATES, texts, strict=True)
]


def said(command: Command, state: State, *, unattended: bool) -> str:
    try:
        command.check("foo", state, unattended=unattended)
    except (WrongState, InstanceDeleted) as error:
        return error.message
    return DONE


@pytest.mark.parametrize(("name", "state", "text"), CELLS)
def test_each_command_in_each_state(name: str, state: State, text: str) -> None:
    command: Command = getattr(transitions, name)
    assert said(command, state, unattended=False) == text
    expected = DONE if (name, state) in UNATTENDED and text != DELETED else text
    assert said(command, state, unattended=True) == expected


def test_the_table_has_every_command() -> None:
    commands = {name for name, value in vars(transitions).items() if isinstance(value, Command)}
    assert commands == TABLE.keys()


def fed(*steps: Command | Event | str) -> State:
    """A machine's state after these: a command that starts or ends it, an event, "end" of its
    guest."""
    machine = MachineState()
    for step in steps:
        if isinstance(step, Event):
            machine.happened(step)
        elif step == "end":
            machine.ended()
        elif step == "guest":
            machine.started()
        elif isinstance(step, Command) and machine.state is State.STOPPED:
            machine.begin_start(step)
        elif isinstance(step, Command):
            machine.begin_end(step)
    return machine.state


UP = (transitions.START, "guest", Event.ANSWERED)


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ((transitions.START,), State.STARTING),
        ((transitions.START, Event.NOT_THERE), State.STOPPED),
        (UP, State.RUNNING),
        ((transitions.START, "guest", Event.SILENT), State.UNKNOWN),
        ((transitions.START, "guest", Event.SILENT, Event.ANSWERED), State.RUNNING),
        ((*UP, "end"), State.STOPPED),
        ((transitions.START, "guest", Event.SILENT, "end"), State.STOPPED),
        ((*UP, transitions.STOP), State.RUNNING),
        ((*UP, transitions.STOP, "end"), State.STOPPED),
        ((*UP, transitions.RESTART), State.RESTARTING),
        ((*UP, transitions.RESTART, "end"), State.RESTARTING),
        ((*UP, transitions.RESTART, "end", "guest", Event.ANSWERED), State.RUNNING),
        ((*UP, transitions.RESTART, "end", "guest", "end"), State.STOPPED),
        ((*UP, transitions.RESTART, "end", "guest", transitions.DELETE, "end"), State.STOPPED),
        ((*UP, transitions.SUSPEND), State.SUSPENDING),
        ((*UP, transitions.SUSPEND, "end"), State.SUSPENDING),
        ((*UP, transitions.SUSPEND, "end", Event.NOT_THERE), State.STOPPED),
        ((*UP, transitions.SUSPEND, Event.WENT_ON), State.RUNNING),
        ((*UP, transitions.SUSPEND, Event.WENT_ON, "end"), State.STOPPED),
        ((Event.UNREACHABLE,), State.UNKNOWN),
        ((Event.UNREACHABLE, Event.NOT_THERE), State.STOPPED),
        ((Event.UNREACHABLE, Event.FOUND), State.STARTING),
    ],
)
def test_commands_events_and_ends_lead_to_the_next_state(
    steps: tuple[Command | Event | str, ...], state: State
) -> None:
    assert fed(*steps) is state


def test_an_end_that_no_command_caused_is_told_from_one_that_was_asked_for() -> None:
    machine = MachineState()
    machine.begin_start(transitions.START)
    machine.started()
    assert machine.ended() is None
    machine.begin_start(transitions.START)
    machine.started()
    machine.expect_end()
    assert machine.ended() is transitions.FORCE


def test_a_suspension_under_way_is_not_taken_for_a_forced_stop() -> None:
    machine = MachineState()
    machine.begin_end(transitions.SUSPEND)
    machine.expect_end()
    assert machine.ended() is transitions.SUSPEND


def test_every_event_is_in_the_table_and_leads_to_a_state_of_a_machine() -> None:
    assert EVENTS.keys() == set(Event)
    on_record = {State.DELETED, State.SUSPENDED, State.DELAYED_SHUTDOWN}
    for steps in EVENTS.values():
        assert not (steps.keys() | set(steps.values())) & on_record


@pytest.mark.parametrize("machine", list(State))
def test_what_is_on_record_qualifies_what_users_see(machine: State) -> None:
    def seen(**facts: bool) -> State:
        no = {"deleted": False, "suspended": False, "stop_scheduled": False, "stalled": False}
        return visible(machine, **(no | facts))

    assert seen() is machine
    assert seen(deleted=True, suspended=True, stalled=True) is State.DELETED
    off, on = machine is State.STOPPED, machine is State.RUNNING
    assert seen(suspended=True) is (State.SUSPENDED if off else machine)
    assert seen(stop_scheduled=True) is (State.DELAYED_SHUTDOWN if on else machine)
    assert seen(stop_scheduled=True, stalled=True) is (State.UNKNOWN if on else machine)


def test_every_state_has_its_number_on_the_wire() -> None:
    assert ON_WIRE.keys() == set(State)
    assert all(number == getattr(Status, state.name) for state, number in ON_WIRE.items())
