"""`multipass shell`: open a login shell in an instance; launch the primary one if missing."""

from __future__ import annotations

from client import instance_messages, messages, rpc, runner
from client.arguments import timeouts
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import (
    SUCCESS,
    CommandFailed,
    DeadlinePassed,
    Status,
    StatusError,
    TimedOut,
    Unreachable,
    UsageError,
)
from client.guests import guest
from client.session import Session


def run(session: Session) -> int:
    given = session.line.positionals
    if len(given) > 1:
        raise UsageError(messages.TOO_MANY_ARGUMENTS)
    limit = timeouts.seconds(session)
    primary = session.primary()
    name = given[0] if given else primary
    if not name:
        raise UsageError(instance_messages.NO_PRIMARY_FOR_SHELL)
    deadline = timeouts.deadline(limit)
    try:
        found = _reach(session, name, deadline)
    except CommandFailed as error:
        if code := _made_to_run(session, name, name == primary, error):
            return code
        found = _reach(session, name, deadline)
    from client.guests import ssh

    ssh.run(found, None)
    return SUCCESS  # the exit code of the shell's last command is ignored, as in 1.16


def _reach(session: Session, name: str, deadline: float | None) -> guest.Guest:
    try:
        return guest.reach(session, name, rpc.open_channel(session, deadline))
    except DeadlinePassed as error:
        raise TimedOut(
            instance_messages.START_TIMED_OUT, instance_messages.TIMED_OUT_HINT
        ) from error


def _made_to_run(session: Session, name: str, is_primary: bool, error: CommandFailed) -> int:
    """Start or launch the instance, if `error` is about that; else raises `error`."""
    status = error.status if isinstance(error, StatusError) else 0
    timeout = [f"--timeout={given[-1]}"] if (given := session.line.values.get("timeout")) else []
    if status == Status.ABORTED:
        return runner.inner(session, "start", *timeout, "--", name)
    if is_primary and (status == Status.NOT_FOUND or isinstance(error, Unreachable)):
        return runner.inner(session, "launch", *timeout, "--name", name)
    raise error


COMMAND = Command(
    "shell",
    "Open a login shell in an instance. One that is stopped is started first; the\n"
    "primary one is made if it is not there.",
    run,
    aliases=("sh", "connect"),
    options=(
        Option(
            ("timeout",),
            "Give up waiting for the instance after this many seconds (default: as long as the "
            "service allows)",
            "timeout",
        ),
    ),
    syntax="[<name>]",
    syntax_without_primary="<name>",
    arguments=(
        Argument("name", "Name of the instance; without a name, the primary instance is meant"),
    ),
)
