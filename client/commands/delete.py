"""`multipass delete`: mark instances as deleted, or remove them or their snapshots permanently."""

from __future__ import annotations

from client import instance_messages, rpc
from client.arguments import instances as arguments_instances
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, CannotAsk, StatusError
from client.session import Session
from client.terminal import console, prompts
from protocol.messages.common import InstanceSnapshotPair
from protocol.messages.lifecycle import DeleteReply, DeleteRequest


def run(session: Session) -> int:
    chosen = arguments_instances.named(session)
    purge = "purge" in session.line.flags
    request = DeleteRequest(
        instance_snapshot_pairs=[arguments_instances.pair(name) for name in chosen.names],
        purge=purge,
        purge_snapshots=purge,
        verbosity_level=session.verbosity,
    )
    try:
        _delete(session, request)
    except StatusError as error:
        rpc.advise(error, instance_messages.PURGE_HINT)
        raise
    return SUCCESS


def _delete(session: Session, request: DeleteRequest) -> None:
    # The service asks for confirmation only to remove snapshots.
    may_ask = not request.purge and any(
        pair.snapshot_name is not None for pair in request.instance_snapshot_pairs
    )
    channel = rpc.open_channel(session)
    call = channel.begin("delet", rpc.encode(request), half_close=not may_ask)
    for reply in rpc.replies(session, call, DeleteReply):
        if reply.confirm_snapshot_purging and may_ask:
            request.purge_snapshots = _confirmed(request.instance_snapshot_pairs)
            call.answer(rpc.encode(request))
        if reply.purged_instances:
            from client.aliases import store

            store.forget_instances(session, reply.purged_instances)


def _confirmed(pairs: list[InstanceSnapshotPair]) -> bool:
    if not console.is_live():
        snapshots = [f"{pair.instance_name}.{pair.snapshot_name}" for pair in pairs
                     if pair.snapshot_name is not None]  # fmt: skip
        instances = [pair.instance_name for pair in pairs if pair.snapshot_name is None]
        raise CannotAsk(instance_messages.cannot_confirm_purge(snapshots, instances))
    return prompts.confirm(
        instance_messages.PURGE_QUESTION, again=instance_messages.ANSWER_YES_NO_CAPITAL, empty="no"
    )


COMMAND = Command(
    "delete",
    "Delete instances, which `recover` can bring back until they are purged;\n"
    "snapshots are deleted permanently.",
    run,
    options=(
        Option(("all",), "Delete all instances"),
        Option(("p", "purge"), "Remove permanently, at once and without a question"),
    ),
    syntax="<instance>[.snapshot] [<instance>[.snapshot] ...]",
    arguments=(Argument("name", "Names of the instances and snapshots to delete"),),
)
