"""`list`: loads little, as it is what a client asks most, and often first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multipassd.instances.records.damaged import Damaged
from multipassd.instances.states.state import State
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

if TYPE_CHECKING:
    from multipassd.instances.instance import Instance

Status = InstanceStatus.Status
# The one place where states become the wire's.
ON_WIRE = {
    State.STOPPED: Status.STOPPED,
    State.STARTING: Status.STARTING,
    State.RESTARTING: Status.RESTARTING,
    State.RUNNING: Status.RUNNING,
    State.DELAYED_SHUTDOWN: Status.DELAYED_SHUTDOWN,
    State.SUSPENDING: Status.SUSPENDING,
    State.SUSPENDED: Status.SUSPENDED,
    State.UNKNOWN: Status.UNKNOWN,
    State.DELETED: Status.DELETED,
}


async def list_(call: Call[ListRequest], daemon: Daemon) -> None:
    """The instances, or their snapshots."""
    if call.request.snapshots:
        from multipassd.rpc.methods import snapshots

        found = snapshots.rows(call.instances.all())
        call.reply(ListReply(snapshot_list=SnapshotsList(snapshots=found)))
        return
    wanted = call.request.request_ipv4
    rows = [_row(instance, wanted) for instance in call.instances.everything()]
    # Without a row it says that there are none, and no more.
    if daemon.instances.earlier and not rows and call.instances.whole:
        call.log_line(f"{daemon.instances.earlier}\n")
    call.reply(ListReply(instance_list=InstancesList(instances=rows)))


def _row(instance: Instance | Damaged, addresses: bool) -> ListVMInstance:
    if isinstance(instance, Damaged):
        release = instance.copy.image.release if instance.copy is not None else ""
        status = status_of(instance)
        return ListVMInstance(name=instance.name, instance_status=status, current_release=release)
    return ListVMInstance(
        name=instance.name,
        instance_status=status_of(instance),
        ipv4=instance.addresses() if addresses else [],
        current_release=instance.record.image.release,
    )


def status_of(instance: Instance | Damaged) -> InstanceStatus:
    return InstanceStatus(status=ON_WIRE[instance.state])
