"""All commands in all states: what is done, and the one sentence that says why not."""

from __future__ import annotations

import pytest

from multipassd.instances.states import transitions
from multipassd.instances.states.errors import InstanceDeleted, WrongState
from multipassd.instances.states.transitions import Rule, State

DONE = ""
DELETED = 'instance "foo" is deleted'
STARTING = "Cannot shut down instance foo while starting."
SUSPENDING = "Cannot shut down instance foo while suspending."
UNKNOWN = "Instance 'foo' is already running, but in an unknown state.\n"
MODIFY = "Instance must be stopped for modification"

STATES = (
    State.STOPPED, State.STARTING, State.RESTARTING, State.RUNNING, State.DELAYED_SHUTDOWN,
    State.SUSPENDING, State.SUSPENDED, State.UNKNOWN, State.DELETED,
)  # fmt: skip

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


def said(rule: Rule, state: int, *, unattended: bool) -> str:
    try:
        rule.check("foo", state, unattended=unattended)
    except (WrongState, InstanceDeleted) as error:
        return error.message
    return DONE


@pytest.mark.parametrize(("name", "state", "text"), CELLS)
def test_each_command_in_each_state(name: str, state: int, text: str) -> None:
    rule: Rule = getattr(transitions, name)
    assert said(rule, state, unattended=False) == text
    expected = DONE if (name, state) in UNATTENDED and text != DELETED else text
    assert said(rule, state, unattended=True) == expected


def test_the_table_has_every_rule() -> None:
    rules = {name for name, value in vars(transitions).items() if isinstance(value, Rule)}
    assert rules == TABLE.keys()
