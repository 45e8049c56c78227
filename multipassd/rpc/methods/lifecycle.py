"""What changes the state of instances that exist: from `start` to `purge`."""

from __future__ import annotations

from multipassd.auth.peer import Peer
from multipassd.instances import selection
from multipassd.instances.collection import for_each
from multipassd.instances.finder import collect, named
from multipassd.instances.guests.reachability import START_TIMEOUT
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged, InstanceDamaged
from multipassd.instances.states import transitions
from multipassd.instances.states.errors import InstancesMissing
from multipassd.instances.view import View
from multipassd.rpc.call import Call, Request
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods import snapshots
from multipassd.system import log
from protocol.messages.lifecycle import (
    DeleteReply,
    DeleteRequest,
    PurgeReply,
    PurgeRequest,
    RecoverReply,
    RecoverRequest,
    RestartReply,
    RestartRequest,
    StartError,
    StartReply,
    StartRequest,
    StopReply,
    StopRequest,
    SuspendReply,
    SuspendRequest,
)

Code = StartError.ErrorCode

_log = log.get("instances")


async def start(call: Call[StartRequest], daemon: Daemon) -> None:
    """Start instances and wait until they answer."""
    wanted = named(call.request.instance_names)
    if missing := _missing(wanted, call.instances):
        raise InstancesMissing(missing)
    seconds = float(call.request.timeout if call.request.timeout > 0 else START_TIMEOUT)

    async def start(instance: Instance) -> None:
        with instance.awaited():
            await instance.start()
            await instance.wait(seconds)
        _pass_on_warnings(call, instance)

    await for_each(call.instances.chosen(wanted), start)
    call.reply(StartReply())


def _missing(names: list[str], instances: View) -> dict[str, Code]:
    """One that is being prepared or damaged is none of them: `chosen` says so."""
    deleted = {each.name for each in instances.deleted()}
    return {
        name: Code.INSTANCE_DELETED if name in deleted else Code.DOES_NOT_EXIST
        for name in names
        if name in deleted or not instances.knows(name)
    }


async def stop(call: Call[StopRequest], daemon: Daemon) -> None:
    """At once, in some minutes, by force; or cancel one that is due."""
    request = call.request
    chosen = call.instances.chosen(named(request.instance_names))
    if request.cancel_shutdown:
        for instance in chosen:
            instance.delayed_stop.cancel()
    elif request.time_minutes > 0 and not request.force_stop:
        await for_each(chosen, lambda instance: _later(instance, request.time_minutes))
    else:
        await for_each(chosen, lambda instance: instance.stop(force=request.force_stop))
    call.reply(StopReply())


async def _later(instance: Instance, minutes: int) -> None:
    instance.schedule_stop(minutes)


async def suspend(call: Call[SuspendRequest], daemon: Daemon) -> None:
    """Save instances' state and end them."""
    chosen = call.instances.chosen(named(call.request.instance_names))
    await for_each(chosen, lambda instance: instance.suspend())
    call.reply(SuspendReply())


async def restart(call: Call[RestartRequest], daemon: Daemon) -> None:
    """Stop and start instances, and wait until they answer."""
    chosen = call.instances.chosen(named(call.request.instance_names))
    seconds = float(call.request.timeout if call.request.timeout > 0 else START_TIMEOUT)

    for instance in chosen:
        instance.check(transitions.RESTART)  # told without the heading of a list, as in 1.16

    async def restart(instance: Instance) -> None:
        with instance.awaited():
            await instance.restart()
            await instance.wait(seconds)
        _pass_on_warnings(call, instance)

    await for_each(chosen, restart)
    call.reply(RestartReply())


def _pass_on_warnings(call: Call[Request], instance: Instance) -> None:
    for text in instance.warnings():
        call.warn(_log, text)


async def delet(call: Call[DeleteRequest], daemon: Daemon) -> None:
    """Delete instances, which `recover` takes back, or purge them at once; delete snapshots."""
    pairs = call.request.instance_snapshot_pairs
    selected = selection.read(call.instances, pairs)
    chosen = selected.instances
    if not pairs:  # all that can be used: a damaged one is given up by its name only
        chosen = [instance for instance in chosen if isinstance(instance, Instance)]
    await snapshots.confirm(call, selected.snapshots)
    await for_each(
        selected.snapshots,
        lambda each: daemon.tasks.complete(snapshots.delete(each, call.peer, daemon)),
    )
    if call.request.purge:
        await for_each(chosen, lambda each: _purge(each, call.peer, daemon))
        call.reply(DeleteReply(purged_instances=[instance.name for instance in chosen]))
    else:
        await for_each(chosen, lambda each: _undisturbed(each, call.peer, daemon))
        call.reply(DeleteReply())


async def _undisturbed(instance: Instance | Damaged, peer: Peer, daemon: Daemon) -> None:
    if isinstance(instance, Damaged):
        raise InstanceDamaged(instance)
    await daemon.tasks.complete(_delete(instance, peer, daemon))


async def _delete(instance: Instance, peer: Peer, daemon: Daemon) -> None:
    await instance.delete()
    daemon.audit.instance("deleted", instance.name, peer.uid, peer.fingerprint)


async def purge(call: Call[PurgeRequest], daemon: Daemon) -> None:
    """Remove all deleted instances and their disks."""
    gone = call.instances.deleted()
    await for_each(gone, lambda each: _purge(each, call.peer, daemon))
    call.reply(PurgeReply(purged_instances=[instance.name for instance in gone]))


async def _purge(instance: Instance | Damaged, peer: Peer, daemon: Daemon) -> None:
    """Purge the instance and write the audit record, even if the caller disconnects."""

    async def purge_audited() -> None:
        await daemon.instances.purge(instance)
        daemon.audit.instance("purged", instance.name, peer.uid, peer.fingerprint)

    await daemon.tasks.complete(purge_audited())


async def recover(call: Call[RecoverRequest], daemon: Daemon) -> None:
    """Get deleted instances back, and damaged ones by the copies of their records."""
    wanted = named(call.request.instance_names)
    instances = call.instances
    chosen = collect(dict.fromkeys(wanted), instances.find) if wanted else instances.deleted()
    await for_each(chosen, lambda each: daemon.tasks.complete(_recover(each, call.peer, daemon)))
    call.reply(RecoverReply())


async def _recover(found: Instance | Damaged, peer: Peer, daemon: Daemon) -> None:
    if isinstance(found, Damaged):
        await daemon.instances.rebuild(found)
    elif found.record.deleted:
        found.change(deleted=False)
    else:
        return  # nothing to recover, so nothing to put on record
    daemon.audit.instance("recovered", found.name, peer.uid, peer.fingerprint)
