"""`multipass <alias>`: behaves as `exec` of the alias's instance and command."""

from __future__ import annotations

from client import alias_messages
from client.aliases import store
from client.aliases.table import DEFAULT
from client.command import Command
from client.commands import exec as command_exec
from client.errors import ClientError, Status, StatusError
from client.session import Session
from client.terminal import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.aliases.table import Alias


def command(session: Session, word: str) -> Command | None:
    """The command that an alias stands for; None if there is no such alias."""
    try:
        alias = store.read(session).find(word)
    except ClientError as error:
        console.line_err(error.text(""))
        return None
    return None if alias is None else _command(word, alias)


def _command(word: str, alias: Alias) -> Command:
    def run(session: Session) -> int:
        line = session.line
        line.positionals[:0] = [alias.instance, alias.command]
        if alias.directory == DEFAULT and "working-directory" not in line.values:
            line.flags.add("no-map-working-directory")
        try:
            return command_exec.run(session)
        except StatusError as error:
            if error.status == Status.NOT_FOUND:
                error.hint = error.hint or alias_messages.stale(word, alias.instance)
            raise

    return Command(
        command_exec.COMMAND.name,
        command_exec.COMMAND.description,
        run,
        options=command_exec.COMMAND.options,
        syntax=command_exec.COMMAND.syntax,
        arguments=command_exec.COMMAND.arguments,
        options_hint=alias_messages.OPTIONS,
    )
