"""`delet`: put instances away, from where `recover` gets them back, or purge them at once."""

from __future__ import annotations

from multipassd.call import Call
from multipassd.daemon import Daemon
from multipassd.instances.instance import Instance
from multipassd.instances.instances import for_each
from multipassd.methods.purge import purge
from multipassd.peer import Peer
from protocol.messages.lifecycle import DeleteReply, DeleteRequest


async def run(call: Call[DeleteRequest], daemon: Daemon) -> None:
    chosen = daemon.instances.paired(call.request.instance_snapshot_pairs)
    if call.request.purge:
        await for_each(chosen, lambda one: purge(one, call.peer, daemon))
        call.reply(DeleteReply(purged_instances=[instance.name for instance in chosen]))
    else:
        await for_each(chosen, lambda one: _undisturbed(one, call.peer, daemon))
        call.reply(DeleteReply())


async def _undisturbed(instance: Instance, peer: Peer, daemon: Daemon) -> None:
    await daemon.tasks.complete(_delete(instance, peer, daemon))


async def _delete(instance: Instance, peer: Peer, daemon: Daemon) -> None:
    await instance.delete()
    daemon.audit.instance("deleted", instance.name, peer.uid, peer.fingerprint)
