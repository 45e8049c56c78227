"""`multipass networks`: list the host's network interfaces that instances can be connected to."""

from __future__ import annotations

from client import messages, render, rpc
from client.arguments.commandline import FORMAT
from client.command import Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console, notices
from protocol.messages.information import NetworksReply, NetworksRequest


def run(session: Session) -> int:
    if session.line.positionals:
        raise UsageError(messages.TAKES_NO_ARGUMENTS)
    form = render.form(session.line.value("format", render.TABLE))
    request = NetworksRequest(verbosity_level=session.verbosity)
    reply = rpc.call(session, "networks", request, NetworksReply)
    from client.render import networks

    console.out(networks.render(reply.interfaces, form))
    notices.update(reply.update_info)
    return SUCCESS


COMMAND = Command(
    "networks",
    "List the network interfaces of this host that `launch --network` can connect an\ninstance to.",
    run,
    options=(FORMAT,),
)
