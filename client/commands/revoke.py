"""`multipass revoke`: trust the clients of a person no longer."""

from __future__ import annotations

from client import trust_calls
from client import trust_messages as messages
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from protocol.messages.trust import RevokeReply, RevokeRequest


def run(session: Session) -> int:
    line = session.line
    if len(line.positionals) != 1:
        raise UsageError(messages.NEED_WHO)
    request = RevokeRequest(who=line.positionals[0], force="force" in line.flags)
    reply = trust_calls.call(session, "revoke", request, RevokeReply)
    console.line_out(messages.revoked(len(reply.removed), reply.invitations, request.who))
    return SUCCESS


COMMAND = Command(
    "revoke",
    "Trust all clients of a person, or one client, no longer, and take the person's\n"
    "invitations back. It counts at once: log-ins to instances end, and an SSH key\n"
    "that a client was handed is replaced.",
    run,
    options=(Option(("force",), "Also if no admin is left then"),),
    syntax="<name>",
    arguments=(Argument("name", "Name of the person, or the beginning of a client's fingerprint"),),
)
