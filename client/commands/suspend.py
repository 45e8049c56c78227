"""`multipass suspend`: puts running instances to sleep on disk."""

from __future__ import annotations

from client import following, selection
from client.command import Command
from client.commandline import Option
from client.errors import SUCCESS
from client.session import Session
from protocol.messages.lifecycle import SuspendReply, SuspendRequest


def run(session: Session) -> int:
    chosen = selection.named_or_primary(session)
    request = SuspendRequest(instance_names=chosen.request(), verbosity_level=session.verbosity)
    following.follow(session, "suspend", request, SuspendReply, chosen.doing("Suspending"))
    return SUCCESS


COMMAND = Command(
    "suspend",
    "Suspend running instances",
    "Keep on disk what runs in instances and free their memory, until they are\nstarted again.",
    run,
    options=(Option(("all",), "Suspend all instances"),),
    syntax=selection.SYNTAX,
    syntax_without_primary=selection.SYNTAX_WITHOUT_PRIMARY,
    arguments=(selection.argument("suspend"),),
)
