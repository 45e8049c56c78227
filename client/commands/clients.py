"""`multipass clients`: list the trusted clients, their roles, and invitations that wait."""

from __future__ import annotations

import time

from client import messages, render, trust_calls
from client.arguments.commandline import FORMAT
from client.command import Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from protocol.messages.trust import ClientsReply, ClientsRequest


def run(session: Session) -> int:
    if session.line.positionals:
        raise UsageError(messages.TAKES_NO_ARGUMENTS)
    form = render.form(session.line.value("format", render.TABLE))
    reply = trust_calls.call(session, "clients", ClientsRequest(), ClientsReply)
    from client.render import clients

    console.out(clients.render(reply, form, time.time()))
    for each in reply.damage:  # why some may be missing
        console.line_err(each)
    return SUCCESS


COMMAND = Command(
    "clients",
    "List the clients that the service trusts, whose they are and what they may do,\n"
    "and the invitations that were not used yet. Times are UTC.",
    run,
    options=(FORMAT,),
)
