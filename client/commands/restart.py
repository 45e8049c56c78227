"""`multipass restart`: shuts running instances down and starts them again."""

from __future__ import annotations

from client import notices, rpc, selection, sentences, timeouts
from client.command import Argument, Command, Option
from client.errors import SUCCESS, DeadlinePassed, TimedOut
from client.session import Session
from client.spinner import Spinner
from protocol.messages.lifecycle import RestartReply, RestartRequest

NO_LIMIT = -1  # on the wire


def run(session: Session) -> int:
    limit = timeouts.seconds(session)
    chosen = selection.named_or_primary(session)
    request = RestartRequest(
        instance_names=chosen.request(),
        verbosity_level=session.verbosity,
        timeout=NO_LIMIT if limit is None else limit,
    )
    channel = rpc.open_channel(session, timeouts.deadline(limit))
    reply = RestartReply()
    try:
        with Spinner(chosen.doing("Restarting")) as spinner:
            for reply in rpc.stream(
                session, "restart", request, RestartReply, channel, spinner.log
            ):
                if reply.reply_message:
                    spinner.show(reply.reply_message)
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
    syntax="[<name> ...]",
    syntax_without_primary="<name> [<name> ...]",
    arguments=(
        Argument(
            "name",
            "Names of the instances to restart; without a name, the primary instance is meant",
        ),
    ),
)
