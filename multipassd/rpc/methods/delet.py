"""`delet`: put instances away, from where `recover` gets them back, or purge them at once."""

from __future__ import annotations

from multipassd.auth.peer import Peer
from multipassd.instances.collection import for_each
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged, InstanceDamaged
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods.purge import purge
from protocol.messages.lifecycle import DeleteReply, DeleteRequest


async def run(call: Call[DeleteRequest], daemon: Daemon) -> None:
    pairs = call.request.instance_snapshot_pairs
    chosen = daemon.instances.paired(pairs)
    if not pairs:  # all that can be used: a damaged one is given up by its name only
        chosen = [instance for instance in chosen if isinstance(instance, Instance)]
    if call.request.purge:
        await for_each(chosen, lambda one: purge(one, call.peer, daemon))
        call.reply(DeleteReply(purged_instances=[instance.name for instance in chosen]))
    else:
        await for_each(chosen, lambda one: _undisturbed(one, call.peer, daemon))
        call.reply(DeleteReply())


async def _undisturbed(instance: Instance | Damaged, peer: Peer, daemon: Daemon) -> None:
    if isinstance(instance, Damaged):
        raise InstanceDamaged(instance)
    await daemon.tasks.complete(_delete(instance, peer, daemon))


async def _delete(instance: Instance, peer: Peer, daemon: Daemon) -> None:
    await instance.delete()
    daemon.audit.instance("deleted", instance.name, peer.uid, peer.fingerprint)
