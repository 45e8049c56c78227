"""`purge`: end all deleted instances for good."""

from multipassd.call import Call
from multipassd.daemon import Daemon
from multipassd.instances.instances import for_each
from protocol.messages.lifecycle import PurgeReply, PurgeRequest


async def run(call: Call[PurgeRequest], daemon: Daemon) -> None:
    gone = daemon.instances.deleted()
    await for_each(gone, daemon.instances.purge)
    call.reply(PurgeReply(purged_instances=[instance.name for instance in gone]))
