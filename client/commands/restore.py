"""`multipass restore`: return an instance to one of its snapshots."""

from __future__ import annotations

from client import instance_messages, rpc
from client import snapshot_messages as messages
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, CannotAsk, UsageError
from client.session import Session
from client.terminal import console, prompts
from client.terminal.spinner import Spinner
from protocol.messages.snapshots import RestoreReply, RestoreRequest


def run(session: Session) -> int:
    name = _name(session)
    instance, _, snapshot = name.partition(".")
    request = RestoreRequest(
        instance=instance,
        snapshot=snapshot,
        destructive="destructive" in session.line.flags,
        verbosity_level=session.verbosity,
    )
    _restore(session, request)
    console.line_out(messages.restored(name))
    return SUCCESS


def _name(session: Session) -> str:
    """Raises UsageError."""
    names = session.line.positionals
    if not names:
        raise UsageError(messages.NEED_INSTANCE_AND_SNAPSHOT)
    if len(names) > 1:
        raise UsageError(messages.RESTORE_TOO_MANY)
    if names[0].count(".") != 1:
        raise UsageError(messages.RESTORE_FORM)
    return names[0]


def _restore(session: Session, request: RestoreRequest) -> None:
    """Raises CannotAsk, CommandFailed."""
    may_ask = not request.destructive
    channel = rpc.open_channel(session)
    call = channel.begin("restore", rpc.encode(request), half_close=not may_ask)
    doing = messages.RESTORING
    replies = rpc.replies(session, call, RestoreReply)
    while True:
        with Spinner(doing) as spinner:
            for reply in replies:
                if reply.confirm_destructive and may_ask:
                    break
                _show(spinner, reply.reply_message)
            else:
                return
        # No spinner turns while the user is asked.
        request.destructive = not _keeps(request.instance)
        call.answer(rpc.encode(request))


def _show(spinner: Spinner, text: str) -> None:
    if text.startswith(messages.TAKEN):
        spinner.keep(text.strip())
    elif text:
        spinner.show(text)


def _keeps(instance: str) -> bool:
    """Is the present state to be kept? Raises CannotAsk, EndOfInput."""
    if not console.is_live():
        raise CannotAsk(messages.CANNOT_CONFIRM_RESTORE)
    return prompts.confirm(
        messages.keep_state(instance),
        again=instance_messages.ANSWER_YES_NO_CAPITAL,
        empty="yes",
        end_is_no=False,
    )


COMMAND = Command(
    "restore",
    "Return a stopped instance to a snapshot: its disk, CPUs, memory, mounts and\nnetworks.",
    run,
    options=(
        Option(
            ("d", "destructive"),
            "Discard the present state without a question; else it can be kept in a snapshot",
        ),
    ),
    syntax="<instance>.<snapshot>",
    arguments=(Argument("instance.snapshot", "Names of the instance and of its snapshot"),),
)
