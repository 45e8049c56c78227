"""`recover`: get deleted instances back, and damaged ones by the copies of their records."""

from __future__ import annotations

from multipassd.auth.peer import Peer
from multipassd.instances.collection import collect, for_each, named
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.lifecycle import RecoverReply, RecoverRequest


async def run(call: Call[RecoverRequest], daemon: Daemon) -> None:
    wanted = named(call.request.instance_names)
    instances = daemon.instances
    chosen = collect(dict.fromkeys(wanted), instances.find) if wanted else instances.deleted()
    await for_each(chosen, lambda one: daemon.tasks.complete(_recover(one, call.peer, daemon)))
    call.reply(RecoverReply())


async def _recover(found: Instance | Damaged, peer: Peer, daemon: Daemon) -> None:
    if isinstance(found, Damaged):
        await daemon.instances.rebuild(found)
    elif found.record.deleted:
        found.change(deleted=False)
    else:
        return  # nothing to recover, so nothing to put on record
    daemon.audit.instance("recovered", found.name, peer.uid, peer.fingerprint)
