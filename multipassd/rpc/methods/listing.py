"""`list`: loads little, as it is what a client asks most, and often first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from multipassd.instances.records.damaged import Damaged
from multipassd.instances.states.state import State
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.system import log
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

_log = log.get("instances")

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
    shown = call.instances.everything()
    rows = [_row(instance, daemon, wanted) for instance in shown]
    # Without a row it says that there are none, and no more.
    if daemon.instances.earlier and not rows and call.instances.whole:
        call.log_line(f"{daemon.instances.earlier}\n")
    tell_troubles(call, shown, daemon)
    call.reply(ListReply(instance_list=InstancesList(instances=rows)))


def tell_troubles(call: Call[Any], shown: Sequence[Instance | Damaged], daemon: Daemon) -> None:
    """What can't be reached of the hosts that instances are on: it tells why some are as they are
    shown. Without an instance the driver is not loaded for it."""
    if any(not isinstance(each, Damaged) for each in shown):
        for text in daemon.instances.driver.troubles():
            call.warn(_log, text)


def _row(instance: Instance | Damaged, daemon: Daemon, addresses: bool) -> ListVMInstance:
    if isinstance(instance, Damaged):
        release = instance.copy.image.release if instance.copy is not None else ""
        status = status_of(instance)
        return ListVMInstance(name=instance.name, instance_status=status, current_release=release)
    return ListVMInstance(
        name=instance.name,
        instance_status=status_of(instance),
        ipv4=instance.addresses() if addresses else [],
        current_release=instance.record.image.release,
        location=daemon.instances.driver.place(instance.name),
    )


def status_of(instance: Instance | Damaged) -> InstanceStatus:
    return InstanceStatus(status=ON_WIRE[instance.state])
