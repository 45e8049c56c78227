"""Run a command, and map its errors to text and exit code."""

from __future__ import annotations

from client import commands
from client.arguments.commandline import parse
from client.errors import ClientError, CommandFailed
from client.terminal import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.arguments.commandline import CommandLine
    from client.command import Command
    from client.session import Session


def run(command: Command, session: Session) -> int:
    """Returns the exit code; prints errors to stderr. Raises OutputError."""
    try:
        return command.run(session)
    except console.OutputError:
        raise
    except ClientError as error:
        text = error.text(command.name)
        if session.remote and isinstance(error, CommandFailed):
            from client import remote_messages

            text += "\n" + remote_messages.where(session.remote)
        report(session.line, text, error.exit_code, error)
        return error.exit_code


def report(line: CommandLine, text: str, code: int, error: BaseException | None = None) -> None:
    """An error to stderr, in the form that the command line asks for."""
    if "errors" in line.values:
        from client import error_document

        if error_document.wanted(line):
            kind = error_document.kind(error) if error else "usage"
            return console.err(error_document.render(text, code, kind))
    console.line_err(text)


def inner(session: Session, name: str, *words: str) -> int:
    """Run another command that this one needs first; its errors have its own name."""
    command = commands.lookup(name)
    assert command is not None
    line = parse(words, command.options)
    line.verbosity = session.verbosity
    if "errors" in session.line.values:
        line.values["errors"] = session.line.values["errors"]
    return run(command, session.of(line))
