"""`purge`: end all deleted instances for good."""

from multipassd.auth.peer import Peer
from multipassd.instances.collection import for_each
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.lifecycle import PurgeReply, PurgeRequest


async def run(call: Call[PurgeRequest], daemon: Daemon) -> None:
    gone = daemon.instances.deleted()
    await for_each(gone, lambda one: purge(one, call.peer, daemon))
    call.reply(PurgeReply(purged_instances=[instance.name for instance in gone]))


async def purge(instance: Instance | Damaged, peer: Peer, daemon: Daemon) -> None:
    """With a record of who did it, which a caller who hangs up takes back neither of."""
    await daemon.tasks.complete(_purge(instance, peer, daemon))


async def _purge(instance: Instance | Damaged, peer: Peer, daemon: Daemon) -> None:
    await daemon.instances.purge(instance)
    daemon.audit.instance("purged", instance.name, peer.uid, peer.fingerprint)
