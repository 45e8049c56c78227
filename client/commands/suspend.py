"""`multipass suspend`: save the state of running instances to disk and stop them."""

from __future__ import annotations

from client import rpc_progress
from client.arguments import instances
from client.arguments.commandline import Option
from client.command import Command
from client.errors import SUCCESS
from client.session import Session
from protocol.messages.lifecycle import SuspendReply, SuspendRequest


def run(session: Session) -> int:
    chosen = instances.named_or_primary(session)
    request = SuspendRequest(instance_names=chosen.request(), verbosity_level=session.verbosity)
    rpc_progress.follow(session, "suspend", request, SuspendReply, chosen.doing("Suspending"))
    return SUCCESS


COMMAND = Command(
    "suspend",
    "Keep on disk what runs in instances and free their memory, until they are\nstarted again.",
    run,
    options=(Option(("all",), "Suspend all instances"),),
    syntax=instances.SYNTAX,
    syntax_without_primary=instances.SYNTAX_WITHOUT_PRIMARY,
    arguments=(instances.argument("suspend"),),
)
