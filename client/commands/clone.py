"""`multipass clone`: make another instance like a stopped one."""

from __future__ import annotations

from client import rpc_progress
from client import snapshot_messages as messages
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from protocol.messages.snapshots import CloneReply, CloneRequest


def run(session: Session) -> int:
    names = session.line.positionals
    if not names:
        raise UsageError(messages.NEED_SOURCE)
    if len(names) > 1:
        raise UsageError(messages.CLONE_TOO_MANY)
    given = session.line.value("name", "") if "name" in session.line.values else None
    request = CloneRequest(
        source_name=names[0], destination_name=given, verbosity_level=session.verbosity
    )
    doing = messages.cloning(names[0])
    reply = rpc_progress.follow(session, "clone", request, CloneReply, doing)
    console.line_out(reply.reply_message)
    return SUCCESS


COMMAND = Command(
    "clone",
    "Make another instance like a stopped one, with a copy of its disk.",
    run,
    options=(
        Option(
            ("n", "name"),
            "Name of the new instance. Without it, `<source_name>-clone<N>` with the number of "
            "clones made of that so far, plus 1",
            "destination-name",
        ),
    ),
    syntax="<source_name>",
    arguments=(Argument("source_name", "Name of the instance to clone; it must be stopped"),),
)
