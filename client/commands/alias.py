"""`multipass alias`: a name for a command in an instance."""

from __future__ import annotations

from client import alias_messages, commands, rpc
from client.aliases import store
from client.aliases.table import DEFAULT, MAP, Alias, Aliases
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, Status, StatusError, UsageError
from client.session import Session
from client.terminal import console


def run(session: Session) -> int:
    given = session.line.positionals
    if len(given) not in (1, 2):
        raise UsageError(alias_messages.WRONG_NUMBER)
    instance, _, command = given[0].partition(":")
    if not command:
        raise UsageError(alias_messages.NO_COMMAND)
    if not instance:
        raise UsageError(alias_messages.NO_INSTANCE)
    name = given[1] if len(given) == 2 else command.rpartition("/")[2]
    if not _is_filename(name):
        raise UsageError(alias_messages.NOT_A_FILENAME)
    _need_instance(session, instance)
    directory = DEFAULT if "no-map-working-directory" in session.line.flags else MAP

    def add(aliases: Aliases) -> None:
        if name in aliases.contexts[aliases.active]:
            raise UsageError(alias_messages.exists(name))
        if name in commands.MODULES:
            raise UsageError(alias_messages.clashes(name))
        aliases.add(name, Alias(instance, command, directory))

    first = store.change(session, add)
    if first and not session.path_has(session.alias_scripts()):
        console.line_out(alias_messages.add_to_path(session.alias_scripts()))
    return SUCCESS


def _is_filename(name: str) -> bool:
    """Also none that the command line takes for an option."""
    return name not in ("", ".", "..") and "/" not in name and not name.startswith("-")


def _need_instance(session: Session, name: str) -> None:
    """Raises UsageError, if the service does not know it."""
    from protocol.messages.common import InstanceSnapshotPair
    from protocol.messages.information import InfoReply, InfoRequest

    request = InfoRequest(
        instance_snapshot_pairs=[InstanceSnapshotPair(instance_name=name)],
        no_runtime_information=True,
    )
    try:
        rpc.call(session, "info", request, InfoReply)
    except StatusError as error:
        if error.status == Status.INVALID_ARGUMENT:
            raise UsageError(alias_messages.does_not_exist(name)) from error
        raise UsageError(alias_messages.NO_INSTANCES_LIST, error.sentence) from error


COMMAND = Command(
    "alias",
    "Give a command in an instance a name, by which this host runs it: as\n"
    "`multipass <name>`, or as `<name>` where the directory of scripts is in PATH.",
    run,
    options=(
        Option(
            ("n", "no-map-working-directory"),
            "Run it in the login directory, even when the current directory of this host is "
            "mounted in the instance",
        ),
    ),
    syntax="<definition> [<name>]",
    arguments=(
        Argument("definition", "What is run, in the form `<instance>:<command>`"),
        Argument("name", "Name of the alias (default: the command's own name)"),
    ),
)
