"""`multipass suspend`: puts running instances to sleep on disk."""

from __future__ import annotations

from client import rpc, selection
from client.command import Argument, Command, Option
from client.errors import SUCCESS
from client.session import Session
from client.spinner import Spinner
from protocol.messages.lifecycle import SuspendReply, SuspendRequest


def run(session: Session) -> int:
    chosen = selection.named_or_primary(session)
    request = SuspendRequest(instance_names=chosen.request(), verbosity_level=session.verbosity)
    with Spinner(chosen.doing("Suspending")) as spinner:
        for _ in rpc.stream(session, "suspend", request, SuspendReply, log=spinner.log):
            pass
    return SUCCESS


COMMAND = Command(
    "suspend",
    "Suspend running instances",
    "Keep on disk what runs in instances and free their memory, until they are\nstarted again.",
    run,
    options=(Option(("all",), "Suspend all instances"),),
    syntax="[<name> ...]",
    syntax_without_primary="<name> [<name> ...]",
    arguments=(
        Argument(
            "name",
            "Names of the instances to suspend; without a name, the primary instance is meant",
        ),
    ),
)
