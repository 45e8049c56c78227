"""`multipass wait-ready`: wait until the service answers. Presents no certificate."""

from __future__ import annotations

import time

from client import messages, rpc
from client.arguments import timeouts
from client.arguments.commandline import Option
from client.command import Command
from client.errors import (
    SUCCESS,
    DeadlinePassed,
    Status,
    StatusError,
    TimedOut,
    Unreachable,
    UsageError,
)
from client.session import NONE, Session
from client.terminal.spinner import Spinner
from protocol.messages.access import WaitReadyReply, WaitReadyRequest

RETRY_EVERY = 0.5  # seconds


def run(session: Session) -> int:
    if session.line.positionals:
        raise UsageError(messages.TAKES_NO_ARGUMENTS)
    deadline = timeouts.deadline(timeouts.seconds(session))
    try:
        with Spinner(messages.WAITING_READY):
            while not _ready(session, deadline):
                _pause(deadline)
    except DeadlinePassed as error:
        raise TimedOut(messages.TIMED_OUT_READY) from error
    return SUCCESS


def _ready(session: Session, deadline: float | None) -> bool:
    """Raises DeadlinePassed."""
    channel = session.channel(NONE, patience=0, deadline=deadline)
    request = WaitReadyRequest(verbosity_level=session.verbosity)
    try:
        rpc.call(session, "wait_ready", request, WaitReadyReply, channel)
    except Unreachable:
        return False
    except StatusError as error:
        # Multipass 1.16 lacks this call: its answer that it is unknown shows that it serves.
        if error.status not in (Status.UNIMPLEMENTED, Status.UNAVAILABLE):
            raise
        return error.status == Status.UNIMPLEMENTED
    return True


def _pause(deadline: float | None) -> None:
    """Raises DeadlinePassed when the deadline comes first."""
    left = RETRY_EVERY if deadline is None else deadline - time.monotonic()
    time.sleep(max(0.0, min(RETRY_EVERY, left)))
    if left <= RETRY_EVERY and deadline is not None:
        raise DeadlinePassed(messages.NO_ANSWER)


COMMAND = Command(
    "wait-ready",
    "Wait until the Multipass service answers.",
    run,
    options=(
        Option(("timeout",), "Give up after this many seconds (default: wait on)", "timeout"),
    ),
)
