"""What changes the state of instances that exist: from `start` to `purge`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from multipassd.audit.deed import ACTIONS, Subject, Work
from multipassd.instances import damage, selection
from multipassd.instances.finder import collect, for_each, named
from multipassd.instances.guests.reachability import START_TIMEOUT
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged, InstanceDamaged
from multipassd.instances.selection import Chosen
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

Found = TypeVar("Found", bound=Instance | Damaged)
Code = StartError.ErrorCode

_log = log.get("instances")


async def start(call: Call[StartRequest], daemon: Daemon) -> None:
    """Start instances and wait until they answer."""
    wanted = named(call.request.instance_names)
    if missing := _missing(wanted, call.instances):
        raise InstancesMissing(missing)
    seconds = float(call.request.timeout if call.request.timeout > 0 else START_TIMEOUT)

    async def start(instance: Instance, work: Work) -> None:
        with instance.awaited():
            await instance.start()
            work.took_effect()
            await instance.wait(seconds)
        _pass_on_warnings(call, instance)

    await _for_each(call, call.instances.chosen(wanted), start)
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
        await _for_each(call, chosen, _stay)
    elif request.time_minutes > 0 and not request.force_stop:
        await _for_each(call, chosen, lambda each, work: _later(each, work, request.time_minutes))
    else:
        await _for_each(call, chosen, lambda each, _: each.stop(force=request.force_stop))
    call.reply(StopReply())


async def _stay(instance: Instance, work: Work) -> None:
    work.action = "kept from stopping"
    instance.delayed_stop.cancel()


async def _later(instance: Instance, work: Work, minutes: int) -> None:
    work.action = "scheduled to stop"
    instance.schedule_stop(minutes)


async def suspend(call: Call[SuspendRequest], daemon: Daemon) -> None:
    """Save instances' state and end them."""
    chosen = call.instances.chosen(named(call.request.instance_names))
    await _for_each(call, chosen, lambda each, _: each.suspend())
    call.reply(SuspendReply())


async def restart(call: Call[RestartRequest], daemon: Daemon) -> None:
    """Stop and start instances, and wait until they answer."""
    chosen = call.instances.chosen(named(call.request.instance_names))
    seconds = float(call.request.timeout if call.request.timeout > 0 else START_TIMEOUT)

    for instance in chosen:
        instance.check(transitions.RESTART)  # told without the heading of a list, as in 1.16

    async def restart(instance: Instance, work: Work) -> None:
        with instance.awaited():
            await instance.restart()
            work.took_effect()
            await instance.wait(seconds)
        _pass_on_warnings(call, instance)

    await _for_each(call, chosen, restart)
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
    await for_each(selected.snapshots, lambda each: _delete_snapshot(call, each, daemon))
    if call.request.purge:
        await _for_each(call, chosen, lambda each, work: _purge(each, work, daemon))
        call.reply(DeleteReply(purged_instances=[instance.name for instance in chosen]))
    else:
        await _for_each(call, chosen, _delete)
        call.reply(DeleteReply())


async def _delete_snapshot(call: Call[Request], chosen: Chosen, daemon: Daemon) -> None:
    instance, snapshot = chosen
    with call.deed.on(Subject((instance.name,), snapshot.name)) as work:
        await daemon.tasks.complete(snapshots.delete(chosen, work))


async def _delete(instance: Instance | Damaged, work: Work) -> None:
    if isinstance(instance, Damaged):
        raise InstanceDamaged(instance)
    await instance.delete()


async def purge(call: Call[PurgeRequest], daemon: Daemon) -> None:
    """Remove all deleted instances and their disks, but those that another service shares."""
    gone = [each for each in call.instances.deleted() if _is_own(each)]
    await _for_each(call, gone, lambda each, work: _purge(each, work, daemon))
    call.reply(PurgeReply(purged_instances=[instance.name for instance in gone]))


def _is_own(found: Instance | Damaged) -> bool:
    return isinstance(found, Damaged) or not found.record.service


async def _purge(instance: Instance | Damaged, work: Work, daemon: Daemon) -> None:
    """Even if the caller disconnects."""
    work.verb, work.action = "purge", ACTIONS["purge"]
    await daemon.tasks.complete(daemon.instances.purge(instance))


async def recover(call: Call[RecoverRequest], daemon: Daemon) -> None:
    """Get deleted instances back, and damaged ones by the copies of their records."""
    wanted = named(call.request.instance_names)
    instances = call.instances
    chosen = collect(dict.fromkeys(wanted), instances.find) if wanted else instances.deleted()
    await _for_each(
        call, chosen, lambda each, work: daemon.tasks.complete(_recover(each, work, daemon))
    )
    call.reply(RecoverReply())


async def _recover(found: Instance | Damaged, work: Work, daemon: Daemon) -> None:
    if isinstance(found, Damaged):
        await damage.rebuild(daemon.instances, found)
    elif found.record.deleted:
        found.change(deleted=False)
    else:
        work.had_nothing_to_do()


async def _for_each(
    call: Call[Request], chosen: Iterable[Found], do: Callable[[Found, Work], Awaitable[None]]
) -> None:
    """Do it to all at once, a deed each. Raises Several with what went wrong."""

    async def done(each: Found) -> None:
        with call.deed.on(Subject((each.name,))) as work:
            await do(each, work)

    await for_each(chosen, done)
