"""`multipass restart`: shut running instances down and start them again."""

from __future__ import annotations

from client import instance_messages, rpc, rpc_progress
from client.arguments import instances, timeouts
from client.arguments.commandline import Option
from client.command import Command
from client.errors import SUCCESS, DeadlinePassed, TimedOut
from client.session import Session
from client.terminal import notices
from protocol.messages.lifecycle import RestartReply, RestartRequest


def run(session: Session) -> int:
    limit = timeouts.seconds(session)
    chosen = instances.named_or_primary(session)
    request = RestartRequest(
        instance_names=chosen.request(),
        verbosity_level=session.verbosity,
        timeout=timeouts.on_wire(limit),
    )
    channel = rpc.open_channel(session, timeouts.deadline(limit))
    doing = chosen.doing("Restarting")
    try:
        reply = rpc_progress.follow(session, "restart", request, RestartReply, doing, channel)
    except DeadlinePassed as error:
        raise TimedOut(
            instance_messages.RESTART_TIMED_OUT, instance_messages.TIMED_OUT_HINT
        ) from error
    notices.update(reply.update_info)
    return SUCCESS


COMMAND = Command(
    "restart",
    "Shut running instances down and start them again.",
    run,
    options=(
        Option(("all",), "Restart all instances"),
        timeouts.OPTION,
    ),
    syntax=instances.SYNTAX,
    syntax_without_primary=instances.SYNTAX_WITHOUT_PRIMARY,
    arguments=(instances.argument("restart"),),
)
