"""`list`: the instances, or their snapshots."""

from multipassd.call import Call
from multipassd.daemon import Daemon
from protocol.messages.listing import InstancesList, ListReply, ListRequest, SnapshotsList


async def run(call: Call[ListRequest], daemon: Daemon) -> None:
    if call.request.snapshots:
        snapshots = SnapshotsList(snapshots=daemon.instances.snapshots())
        call.reply(ListReply(snapshot_list=snapshots))
    else:
        instances = InstancesList(instances=daemon.instances.all())
        call.reply(ListReply(instance_list=instances))
