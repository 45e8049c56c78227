"""Parse the command line, run the command, return its exit code."""

from __future__ import annotations

from client import commands, home, messages, runner
from client.arguments.commandline import CommandLine, parse, split_command
from client.errors import SUCCESS
from client.session import Session
from client.terminal import console
from protocol.addresses import AddressError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.command import Command

FAILURE = 1
NOTHING_TO_DO = 2
INTERRUPTED = 130  # as a shell reports SIGINT
READER_GONE = 141  # as a shell reports SIGPIPE


def main(words: Sequence[str]) -> int:
    """Runs one command line; returns the exit code."""
    console.ensure_descriptors()
    try:
        return _dispatch(words)
    except console.OutputError as error:
        if error.closed:
            return READER_GONE
        console.line_err(error.sentence)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        _unexpected(words, error)
        return FAILURE


def _unexpected(words: Sequence[str], error: Exception) -> None:
    """One line, in the form of 1.16."""
    text = messages.unhandled(str(error))
    hint = messages.ADDRESS_HINT if isinstance(error, AddressError) else ""
    line = parse(words)
    if "errors" in line.values:
        return runner.report(line, f"{text}\n{hint}", FAILURE, error)
    console.log("error", "client", text)
    if hint:
        console.line_err(hint)


def _dispatch(words: Sequence[str]) -> int:
    word, rest = split_command(words)
    command = _command(word, rest) if word is not None else None
    line = parse(rest, command.options if command else ())
    if line.version:
        command = commands.lookup("version")
        line = parse(rest, command.options if command else ())
    if command is None:
        return _without_command(word, line)
    if line.error:
        hinted = command.options_hint and line.unknown and "--" not in rest
        hint = f"\n\n{command.options_hint}" if hinted else ""
        runner.report(line, line.error + hint, FAILURE)
        return FAILURE
    session = Session(line, home.environment())
    session.make_certificate()
    if line.help:
        from client import help

        console.out(help.of_command(command, help.has_primary(session, command)))
        return SUCCESS
    code = runner.run(command, session)
    if session.called() is not None:
        from client import expiry

        expiry.afterwards(session)
        if session.server().roots.are_known:
            from client.remotes import following

            following.afterwards(session)
    return code


def _command(word: str, rest: Sequence[str]) -> Command | None:
    """The command, or what an alias of the user stands for."""
    if (command := commands.lookup(word)) is not None:
        return command
    from client.aliases import running

    return running.command(Session(parse(rest), home.environment()), word)


def _without_command(word: str | None, line: CommandLine) -> int:
    """No command, or an unknown one."""
    if word is None and line.error:
        console.line_err(f"{line.error}\n")
    elif word is not None and not line.help:
        console.line_out(messages.unknown_command(word))  # on stdout, as in Multipass
        return FAILURE
    from client import help

    console.out(help.general())
    return SUCCESS if line.help and not line.error else NOTHING_TO_DO
