"""`multipass invite`: make a line that lets one client in, once."""

from __future__ import annotations

from client import trust_calls
from client import trust_messages as messages
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from protocol import durations
from protocol.messages.trust import InviteReply, InviteRequest

DEFAULT = "1h"


def run(session: Session) -> int:
    line = session.line
    if len(line.positionals) != 1:
        raise UsageError(messages.NEED_NAME)
    request = InviteRequest(
        name=line.positionals[0],
        role=line.value("role", ""),
        seconds=_seconds(line.value("expires", DEFAULT)),
    )
    reply = trust_calls.call(session, "invite", request, InviteReply)
    until = f"{trust_calls.moment(reply.expires)} UTC"
    said = messages.invited(request.name, reply.role, until, reply.line, reply.tcp_address)
    console.line_out(said)
    if reply.note:
        console.line_out(reply.note)
    return SUCCESS


def _seconds(text: str) -> int:
    """Raises UsageError."""
    seconds = durations.seconds(text)
    if seconds is None:
        raise UsageError(messages.BAD_EXPIRY)
    return seconds


COMMAND = Command(
    "invite",
    "Invite a person to use the service",
    "Print a line that lets one client in, once, under a name and with a role. Pass\n"
    "it on to that person, who types it.",
    run,
    options=(
        Option(
            ("role",),
            "`viewer`, `user` or `admin` (default: the role that the name has already, "
            "else `viewer`)",
            "role",
        ),
        Option(
            ("expires",),
            "How long the line is good, from 1m to 30d, as a number with `m`, `h` or `d` "
            "(default: 1h)",
            "time",
        ),
    ),
    syntax="<name>",
    arguments=(Argument("name", "Name of the person"),),
)
