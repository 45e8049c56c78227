"""Snapshots: taken, returned to and deleted, and what `list` and `info` tell of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from multipassd.audit.deed import Subject, Work
from multipassd.instances import mount_rights
from multipassd.instances.instance import Instance
from multipassd.instances.owners import quotas
from multipassd.instances.owners.claims import Charge, Claim
from multipassd.instances.owners.quotas import Amounts
from multipassd.instances.records.record import Record, Snapshot
from multipassd.instances.selection import Chosen
from multipassd.instances.snapshots import tree
from multipassd.instances.states import transitions
from multipassd.rpc import caller
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods import mounts as mount_methods
from multipassd.system import log
from protocol import sizes
from protocol.errors import RpcError
from protocol.messages.common import SnapshotFundamentals, Timestamp
from protocol.messages.information import DetailedInfoItem, SnapshotDetails
from protocol.messages.lifecycle import DeleteReply, DeleteRequest
from protocol.messages.listing import ListVMSnapshot
from protocol.messages.snapshots import (
    RestoreReply,
    RestoreRequest,
    SnapshotReply,
    SnapshotRequest,
)
from protocol.status import Status

_log = log.get("snapshots")

NANOSECONDS = 1_000_000_000  # of a second


class Cancelled(RpcError):
    """The user does not want snapshots to be deleted permanently."""

    status = Status.CANCELLED
    sentence = "Cancelled."


class SnapshotsOfDeleted(RpcError):
    """Snapshots of deleted instances are only removed with them."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, chosen: Iterable[Chosen]) -> None:
        listed = ", ".join(f"{instance.name}.{snapshot.name}" for instance, snapshot in chosen)
        super().__init__(f"Cannot delete snapshots of deleted instances: {listed}")


# -- changing -------------------------------------------------------------------------------------


async def snapshot(call: Call[SnapshotRequest], daemon: Daemon) -> None:
    """Take a snapshot of a stopped instance."""
    request = call.request
    instance = call.instances.get_live(request.instance)
    charge = caller.charge(call, daemon, instance)(Amounts(snapshots=1))
    taking = _take(call, instance, request.snapshot, request.comment, charge)
    call.reply(SnapshotReply(snapshot=await daemon.tasks.complete(taking)))


async def _take(
    call: Call[SnapshotRequest],
    instance: Instance,
    name: str,
    comment: str,
    charge: AbstractContextManager[Claim],
) -> str:
    async with instance.held(transitions.SNAPSHOT):
        with charge:
            taken = await instance.snapshots.take(name, comment)
    call.deed.whole.subject = Subject((instance.name,), taken.name)
    return taken.name


async def restore(call: Call[RestoreRequest], daemon: Daemon) -> None:
    """Return to a snapshot; its user is asked whether to take one of the present state first."""
    request = call.request
    instance = call.instances.get_live(request.instance)
    instance.check(transitions.RESTORE)
    tree.find(instance.record, request.snapshot)
    charge = caller.charge(call, daemon, instance)
    keeps = False
    if not request.destructive:
        answer = await call.ask(RestoreReply(confirm_destructive=True))
        if answer is None:
            raise Cancelled
        keeps = not answer.destructive
    with call.deed.on(Subject((instance.name,), request.snapshot)):
        await daemon.tasks.complete(_restore(call, instance, keeps, charge))
    call.reply(RestoreReply())


async def _restore(
    call: Call[RestoreRequest], instance: Instance, keeps: bool, charge: Charge
) -> None:
    """`keeps`: the present state is kept in a snapshot."""
    async with instance.held(transitions.RESTORE):
        wanted = tree.find(instance.record, call.request.snapshot)
        more = quotas.of_return(instance.record, wanted)._replace(snapshots=int(keeps))
        with charge(more):
            if keeps:
                await _keep(call, instance, wanted)
            call.reply(RestoreReply(reply_message="Restoring snapshot"))
            mounts = mount_rights.divide(
                wanted.mounts, call.peer.credentials, present=instance.record.mounts
            )
            await instance.snapshots.restore(wanted, mounts.granted)
    for mount in mounts.left_out:
        call.warn(_log, mount_rights.sentence(mount, instance.name))


async def _keep(call: Call[RestoreRequest], instance: Instance, wanted: Snapshot) -> None:
    """Take a snapshot of the present state, which a return to `wanted` replaces."""
    await instance.snapshots.require(wanted)  # else a snapshot would be taken for nothing
    call.reply(RestoreReply(reply_message=f"Taking snapshot before restoring {instance.name}"))
    with call.deed.on(Subject((instance.name,)), verb="snapshot") as work:
        taken = await instance.snapshots.take(comment=f"Before restoring {wanted.name}")
        work.subject = Subject((instance.name,), taken.name)
    # The line feed has clients that show a message until the next one leave it there.
    told = f"Snapshot taken: {instance.name}.{taken.name}\n"
    call.reply(RestoreReply(reply_message=told))


async def confirm(call: Call[DeleteRequest], chosen: Iterable[Chosen]) -> None:
    """Raises SnapshotsOfDeleted, and Cancelled where the user does not want it."""
    if gone := [each for each in chosen if each[0].record.deleted]:
        raise SnapshotsOfDeleted(gone)
    for instance, _ in chosen:
        instance.check(transitions.DROP_SNAPSHOT)
    if chosen and not (call.request.purge or call.request.purge_snapshots):
        answer = await call.ask(DeleteReply(confirm_snapshot_purging=True))
        if answer is None or not answer.purge_snapshots:
            raise Cancelled


async def delete(chosen: Chosen, work: Work) -> None:
    """Nothing to do for one that is gone by now. To be completed if the caller disconnects."""
    instance, snapshot = chosen
    async with instance.held(transitions.DROP_SNAPSHOT):
        present = {each.index: each for each in instance.record.snapshots}.get(snapshot.index)
        if present is None:
            work.had_nothing_to_do()
            return
        await instance.snapshots.drop(present)


# -- showing --------------------------------------------------------------------------------------


def rows(instances: Iterable[Instance]) -> list[ListVMSnapshot]:
    """What `list --snapshots` shows."""
    return [
        ListVMSnapshot(name=each.name, fundamentals=_fundamentals(each.record, snapshot))
        for each in instances
        for snapshot in each.record.snapshots
    ]


async def items(chosen: Iterable[Chosen]) -> list[DetailedInfoItem]:
    """What `info` shows."""
    sizes_of = {each.name: await each.snapshots.sizes() for each in {each for each, _ in chosen}}
    return [_item(each.record, snapshot, sizes_of[each.name]) for each, snapshot in chosen]


def _item(record: Record, snapshot: Snapshot, known: Mapping[str, int]) -> DetailedInfoItem:
    size = known.get(snapshot.tag)
    return DetailedInfoItem(
        name=record.name,
        memory_total=sizes.human(snapshot.memory),
        disk_total=sizes.human(snapshot.disk),
        cpu_count=str(snapshot.cpus),
        mount_info=mount_methods.described(snapshot.mounts, maps=False),
        snapshot_info=SnapshotDetails(
            fundamentals=_fundamentals(record, snapshot),
            size="" if size is None else sizes.human(size),
            children=tree.children(record, snapshot),
        ),
    )


def _fundamentals(record: Record, snapshot: Snapshot) -> SnapshotFundamentals:
    seconds, nanos = divmod(int(snapshot.created * NANOSECONDS), NANOSECONDS)
    return SnapshotFundamentals(
        snapshot_name=snapshot.name,
        parent=tree.parent(record, snapshot),
        comment=snapshot.comment,
        creation_timestamp=Timestamp(seconds=seconds, nanos=nanos),
    )
