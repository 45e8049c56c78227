"""`multipass grant`: give the clients of a person another role."""

from __future__ import annotations

from client import trust_calls
from client import trust_messages as messages
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from protocol.messages.trust import GrantReply, GrantRequest


def run(session: Session) -> int:
    line = session.line
    if len(line.positionals) != 2:
        raise UsageError(messages.NEED_NAME_AND_ROLE)
    who, role = line.positionals
    request = GrantRequest(who=who, role=role, force="force" in line.flags)
    reply = trust_calls.call(session, "grant", request, GrantReply)
    count = len(reply.changed)
    console.line_out(messages.granted(count, who, role) if count else messages.UNCHANGED)
    return SUCCESS


COMMAND = Command(
    "grant",
    "Give all clients of a person, or one client, another role. It counts at once.\n"
    "Invitations of the person that would give more are taken back.",
    run,
    options=(Option(("force",), "Also if no admin is left then"),),
    syntax="<name> <role>",
    arguments=(
        Argument("name", "Name of the person, or the beginning of a client's fingerprint"),
        Argument("role", "`viewer`, `user` or `admin`"),
    ),
)
