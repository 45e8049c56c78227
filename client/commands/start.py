"""`multipass start`: start instances; launch the primary one if it is missing."""

from __future__ import annotations

from client import instance_messages, rpc, rpc_progress, runner
from client.arguments import instances, timeouts
from client.arguments.commandline import Option
from client.command import Command
from client.errors import SUCCESS, CommandFailed, DeadlinePassed, Status, StatusError, TimedOut
from client.session import Session
from client.terminal import notices
from protocol.messages.lifecycle import StartError, StartReply, StartRequest


def run(session: Session) -> int:
    limit = timeouts.seconds(session)
    chosen = instances.named_or_primary(session)
    deadline = timeouts.deadline(limit)
    try:
        problems = _start(session, chosen, limit, deadline)
        if problems == {session.primary(): StartError.ErrorCode.DOES_NOT_EXIST}:
            if code := _launch_primary(session):
                return code
            problems = _start(session, chosen, limit, deadline)
    except DeadlinePassed as error:
        raise TimedOut(
            instance_messages.START_TIMED_OUT, instance_messages.TIMED_OUT_HINT
        ) from error
    if problems:
        raise CommandFailed(
            instance_messages.INSTANCES_MISSING, _messages(problems, session.primary()) + "\n"
        )
    return SUCCESS


def _start(
    session: Session, chosen: instances.Selection, limit: int | None, deadline: float | None
) -> dict[str, int]:
    """The error of instances that were not started, None without one. Raises CommandFailed."""
    request = StartRequest(
        instance_names=chosen.request(),
        verbosity_level=session.verbosity,
        timeout=timeouts.on_wire(limit),
    )
    doing = chosen.doing("Starting")
    try:
        channel = rpc.open_channel(session, deadline)
        reply = rpc_progress.follow(session, "start", request, StartReply, doing, channel)
    except StatusError as error:
        problems = rpc.details(error, StartError).instance_errors
        if error.status == Status.ABORTED and problems:
            return problems
        raise
    notices.update(reply.update_info)
    return {}


def _launch_primary(session: Session) -> int:
    words = ["--name", session.primary()]
    if given := session.line.values.get("timeout"):
        words += ["--timeout", given[-1]]
    return runner.inner(session, "launch", *words)


def _messages(problems: dict[str, int], primary: str) -> str:
    """Missing instances first; a missing primary is not an error, as it is launched."""
    codes = StartError.ErrorCode
    known = {
        int(codes.DOES_NOT_EXIST): instance_messages.does_not_exist,
        int(codes.INSTANCE_DELETED): instance_messages.is_deleted,
    }
    return "\n".join(
        known.get(code, instance_messages.failed_unexpectedly)(name)
        for name, code in sorted(problems.items())
        if (name, code) != (primary, codes.DOES_NOT_EXIST)
    )


COMMAND = Command(
    "start",
    "Start instances that are stopped or suspended. The primary instance is made if\n"
    "it is not there.",
    run,
    options=(
        Option(("all",), "Start all instances"),
        timeouts.OPTION,
    ),
    syntax=instances.SYNTAX,
    syntax_without_primary=instances.SYNTAX_WITHOUT_PRIMARY,
    arguments=(instances.argument("start"),),
)
