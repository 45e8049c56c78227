"""`multipass recover`: restore deleted instances."""

from __future__ import annotations

from client import rpc
from client.arguments import instances
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS
from client.session import Session
from protocol.messages.lifecycle import RecoverReply, RecoverRequest


def run(session: Session) -> int:
    request = RecoverRequest(
        instance_names=instances.named(session).request(), verbosity_level=session.verbosity
    )
    rpc.call(session, "recover", request, RecoverReply)
    return SUCCESS


COMMAND = Command(
    "recover",
    "Bring deleted instances back, stopped, so that they can be used again.",
    run,
    options=(Option(("all",), "Recover all deleted instances"),),
    syntax="<name> [<name> ...]",
    arguments=(Argument("name", "Names of the instances to recover"),),
)
