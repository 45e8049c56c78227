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
TEXT, JSON = "text", "json"


def run(session: Session) -> int:
    line = session.line
    if len(line.positionals) != 1:
        raise UsageError(messages.NEED_NAME)
    form = _form(line.value("format", TEXT))
    request = InviteRequest(
        name=line.positionals[0],
        role=line.value("role", ""),
        seconds=_seconds(line.value("expires", DEFAULT)),
    )
    reply = trust_calls.call(session, "invite", request, InviteReply)
    if form == JSON:
        from client.render import json

        console.out(json.render(_document(request.name, reply)))
        return SUCCESS
    until = f"{trust_calls.moment(reply.expires)} UTC"
    said = messages.invited(request.name, reply.role, until, reply.line, reply.tcp_address)
    console.line_out(said)
    if reply.note:
        console.line_out(reply.note)
    return SUCCESS


def _form(given: str) -> str:
    """Raises UsageError."""
    if given not in (TEXT, JSON):
        raise UsageError(messages.TEXT_OR_JSON)
    return given


def _document(name: str, reply: InviteReply) -> dict[str, str | int | None]:
    """Also with the two commands to pass on, the latter for other machines, if they reach it."""
    there = reply.tcp_address
    return {
        "name": name,
        "role": reply.role,
        "expires": reply.expires,
        "line": reply.line,
        "command": messages.joining(reply.line),
        "remote_command": messages.joining_from_elsewhere(there, reply.line) if there else None,
        "note": reply.note,
    }


def _seconds(text: str) -> int:
    """Raises UsageError."""
    seconds = durations.seconds(text)
    if seconds is None:
        raise UsageError(messages.BAD_EXPIRY)
    return seconds


COMMAND = Command(
    "invite",
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
        Option(("format",), "How to write the line: text or json (default: text)", "format"),
    ),
    syntax="<name>",
    arguments=(Argument("name", "Name of the person"),),
)
