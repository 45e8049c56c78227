"""The states of an instance. Pure; `rpc/methods/information.py` maps them to the wire's."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """What `list` shows. The value is only for logs and tests."""

    STOPPED = "stopped"
    STARTING = "starting"  # the machine runs, and SSH does not answer yet
    RESTARTING = "restarting"  # from the power-down until SSH answers again
    RUNNING = "running"
    DELAYED_SHUTDOWN = "delayed shutdown"  # runs, and a stop is scheduled
    SUSPENDING = "suspending"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"  # the machine runs, and can't be reached or does not answer
    DELETED = "deleted"


ON = frozenset({State.RUNNING, State.DELAYED_SHUTDOWN})  # has addresses, can be logged in to
COMING_UP = frozenset({State.STARTING, State.RESTARTING})
AT_REST = frozenset({State.STOPPED, State.SUSPENDED, State.DELETED})


def visible(
    machine: State, *, deleted: bool, suspended: bool, stop_scheduled: bool, stalled: bool
) -> State:
    """The state that users see, from the machine's own, what the record says and whether the guest
    is stalled, e.g. by a full disk. The machine's own state is none of SUSPENDED,
    DELAYED_SHUTDOWN and DELETED: those are on record."""
    if deleted:
        return State.DELETED
    if machine is State.STOPPED and suspended:
        return State.SUSPENDED
    if machine is State.RUNNING and stalled:
        return State.UNKNOWN
    if machine is State.RUNNING and stop_scheduled:
        return State.DELAYED_SHUTDOWN
    return machine
