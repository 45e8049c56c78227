"""Run a command, and map its errors to text and exit code."""

from __future__ import annotations

from client import commands
from client.arguments.commandline import parse
from client.errors import ClientError, CommandFailed
from client.terminal import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.command import Command
    from client.session import Session


def run(command: Command, session: Session) -> int:
    """Returns the exit code; prints errors to stderr. Raises OutputError."""
    try:
        return command.run(session)
    except console.OutputError:
        raise
    except ClientError as error:
        console.line_err(error.text(command.name))
        if session.remote and isinstance(error, CommandFailed):
            from client import remote_messages

            console.line_err(remote_messages.where(session.remote))
        return error.exit_code


def inner(session: Session, name: str, *words: str) -> int:
    """Run another command that this one needs first; its errors have its own name."""
    command = commands.lookup(name)
    assert command is not None
    line = parse(words, command.options)
    line.verbosity = session.verbosity
    return run(command, session.of(line))
