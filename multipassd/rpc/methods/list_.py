"""`list`: the instances, or their snapshots."""

from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.common import InstanceStatus
from protocol.messages.listing import (
    InstancesList,
    ListReply,
    ListRequest,
    ListVMInstance,
    SnapshotsList,
)


async def run(call: Call[ListRequest], daemon: Daemon) -> None:
    if call.request.snapshots:
        call.reply(ListReply(snapshot_list=SnapshotsList()))
        return
    wanted = call.request.request_ipv4
    rows = [_row(instance, wanted) for instance in daemon.instances.everything()]
    if daemon.instances.earlier and not rows:  # else it says that there are none, and no more
        call.log_line(f"{daemon.instances.earlier}\n")
    call.reply(ListReply(instance_list=InstancesList(instances=rows)))


def _row(instance: Instance | Damaged, addresses: bool) -> ListVMInstance:
    if isinstance(instance, Damaged):
        release = instance.copy.image.release if instance.copy is not None else ""
        status = InstanceStatus(status=instance.state)
        return ListVMInstance(name=instance.name, instance_status=status, current_release=release)
    return ListVMInstance(
        name=instance.name,
        instance_status=InstanceStatus(status=instance.state),
        ipv4=instance.addresses() if addresses else [],
        current_release=instance.record.image.release,
    )
