"""`multipass snapshot`: take a snapshot of a stopped instance."""

from __future__ import annotations

from client import rpc_progress
from client import snapshot_messages as messages
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console
from protocol.messages.snapshots import SnapshotReply, SnapshotRequest


def run(session: Session) -> int:
    names = session.line.positionals
    if not names:
        raise UsageError(messages.NEED_INSTANCE)
    if len(names) > 1:
        raise UsageError(messages.TOO_MANY)
    request = SnapshotRequest(
        instance=names[0],
        snapshot=session.line.value("name", ""),
        comment=session.line.value("comment", ""),
        verbosity_level=session.verbosity,
    )
    reply = rpc_progress.follow(session, "snapshot", request, SnapshotReply, messages.TAKING)
    console.line_out(messages.taken(names[0], reply.snapshot))
    return SUCCESS


COMMAND = Command(
    "snapshot",
    "Keep the present state of a stopped instance, to return to it with `restore`.",
    run,
    options=(
        Option(
            ("n", "name"),
            "Name of the snapshot; letters, digits and hyphens, beginning with a letter. Without "
            "it, `snapshot<N>` with the number of snapshots taken of the instance so far, plus 1",
            "name",
        ),
        Option(("comment", "c", "m"), "A free text that is shown with the snapshot", "comment"),
    ),
    syntax="instance",
    arguments=(Argument("instance", "Name of the instance; it must be stopped"),),
)
