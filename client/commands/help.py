"""`multipass help`: list the commands, or describe one."""

from __future__ import annotations

from client import commands, help, messages
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console


def run(session: Session) -> int:
    given = session.line.positionals
    if len(given) > 1:
        raise UsageError(messages.TOO_MANY_ARGUMENTS)
    if not given:
        console.out(help.general())
        return SUCCESS
    command = commands.lookup(given[0])
    if command is None:
        raise UsageError(messages.unknown_help(given[0]))
    console.out(help.of_command(command, help.has_primary(session, command)))
    return SUCCESS


COMMAND = Command(
    "help",
    "Show how a command is used; without a name, which commands there are.",
    run,
    syntax="<command>",
    arguments=(Argument("command", "Name of the command"),),
)
