"""`multipass restart`: shuts running instances down and starts them again."""

from __future__ import annotations

from client import following, notices, rpc, selection, sentences, timeouts
from client.command import Command
from client.commandline import Option
from client.errors import SUCCESS, DeadlinePassed, TimedOut
from client.session import Session
from protocol.messages.lifecycle import RestartReply, RestartRequest


def run(session: Session) -> int:
    limit = timeouts.seconds(session)
    chosen = selection.named_or_primary(session)
    request = RestartRequest(
        instance_names=chosen.request(),
        verbosity_level=session.verbosity,
        timeout=timeouts.on_wire(limit),
    )
    channel = rpc.open_channel(session, timeouts.deadline(limit))
    doing = chosen.doing("Restarting")
    try:
        reply = following.follow(session, "restart", request, RestartReply, doing, channel)
    except DeadlinePassed as error:
        raise TimedOut(sentences.RESTART_TIMED_OUT, sentences.TIMED_OUT_HINT) from error
    notices.update(reply.update_info)
    return SUCCESS


COMMAND = Command(
    "restart",
    "Restart instances",
    "Shut running instances down and start them again.",
    run,
    options=(
        Option(("all",), "Restart all instances"),
        timeouts.OPTION,
    ),
    syntax=selection.SYNTAX,
    syntax_without_primary=selection.SYNTAX_WITHOUT_PRIMARY,
    arguments=(selection.argument("restart"),),
)
