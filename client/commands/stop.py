"""`multipass stop`: shut instances down, at once or after some minutes."""

from __future__ import annotations

from client import instance_messages, rpc, rpc_progress
from client.arguments import instances, numbers
from client.arguments.commandline import Option
from client.command import Command
from client.errors import SUCCESS, StatusError, UsageError
from client.session import Session
from protocol.messages.lifecycle import StopReply, StopRequest


def run(session: Session) -> int:
    flags = session.line.flags
    cancel, force = "cancel" in flags, "force" in flags
    timed = "time" in session.line.values
    if cancel and timed:
        raise UsageError(instance_messages.TIME_WITH_CANCEL)
    if force and (cancel or timed):
        raise UsageError(instance_messages.FORCE_WITH_OTHERS)
    minutes = _minutes(session.line.value("time", "0"))
    chosen = instances.named_or_primary(session)
    request = StopRequest(
        instance_names=chosen.request(),
        time_minutes=minutes,
        cancel_shutdown=cancel,
        verbosity_level=session.verbosity,
        force_stop=force,
    )
    try:
        rpc_progress.follow(session, "stop", request, StopReply, chosen.doing("Stopping"))
    except StatusError as error:
        rpc.advise(error, instance_messages.FORCE_HINT)
        raise
    return SUCCESS


def _minutes(text: str) -> int:
    number = numbers.parse(text.removeprefix("+"))
    if number is None:
        raise UsageError(instance_messages.TIME_IN_DIGITS)
    return number


COMMAND = Command(
    "stop",
    "Shut instances down as their own power button would, or power them off by force.",
    run,
    options=(
        Option(("all",), "Stop all instances"),
        Option(
            ("t", "time"),
            "Minutes from now after which the shutdown begins; users in the instances get a "
            "message (default: 0)",
            "time",
        ),
        Option(("c", "cancel"), "Cancel a shutdown that has not begun yet"),
        Option(
            ("force",),
            "Power off at once, in any state of the instances. What was not written to disk, "
            "or was suspended, is lost.",
        ),
    ),
    syntax=instances.SYNTAX,
    syntax_without_primary=instances.SYNTAX_WITHOUT_PRIMARY,
    arguments=(instances.argument("stop"),),
)
