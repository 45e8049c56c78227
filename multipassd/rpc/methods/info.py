"""`info`: what is known of instances; of running ones also what they say themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from multipassd.instances.guests import guest_stats
from multipassd.instances.guests.guest_ssh import GuestSilent
from multipassd.instances.guests.guest_stats import Runtime
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.system import log
from protocol.errors import RpcError
from protocol.messages.common import InstanceStatus, Timestamp
from protocol.messages.information import (
    DetailedInfoItem,
    InfoReply,
    InfoRequest,
    InstanceDetails,
)

State = InstanceStatus.Status
AT_REST = (State.STOPPED, State.SUSPENDED, State.DELETED)  # 1.16 tells only of one that is on

_log = log.get("instances")


async def run(call: Call[InfoRequest], daemon: Daemon) -> None:
    chosen = daemon.instances.paired(call.request.instance_snapshot_pairs)
    if call.request.snapshots:
        call.reply(InfoReply(snapshots=True))
        return
    asks = not call.request.no_runtime_information
    silent: list[str] = []
    items = await asyncio.gather(*(_item(instance, asks, silent.append) for instance in chosen))
    for text in silent:
        _tell(call, text)
    await _explain(call, chosen, daemon)
    call.reply(InfoReply(details=list(items)))


async def _explain(
    call: Call[InfoRequest], chosen: list[Instance | Damaged], daemon: Daemon
) -> None:
    """1.16's reply has no field for why an instance stopped or does not answer; -v tells it."""
    if call.verbosity <= 0:
        return
    told_of_all = await asyncio.gather(*(_trouble(one) for one in chosen))
    if any(isinstance(one, Instance) and one.state not in AT_REST for one in chosen):
        told_of_all += daemon.instances.networking.troubles()
    for text in told_of_all:
        if text:
            _tell(call, text)


def _tell(call: Call[InfoRequest], text: str) -> None:
    told = {"name": _log.name, "levelname": "WARNING", "msg": text}
    call.log_line(log.line(logging.makeLogRecord(told)) + "\n")


async def _trouble(one: Instance | Damaged) -> str:
    return one.trouble if isinstance(one, Damaged) else await one.trouble()


async def _item(
    instance: Instance | Damaged, asks: bool, silent: Callable[[str], None]
) -> DetailedInfoItem:
    """`silent` is told of a guest that should have said what it uses, and did not."""
    if isinstance(instance, Damaged):
        return _damaged(instance, asks)
    told = await _ask(instance, silent) if asks and instance.running else Runtime()
    record = instance.record
    if asks and instance.state not in AT_REST:
        told = told.completed(record)
    return DetailedInfoItem(
        name=instance.name,
        instance_status=InstanceStatus(status=instance.state),
        memory_total=told.memory_total,
        disk_total=told.disk_total,
        cpu_count=told.cpus,
        instance_info=InstanceDetails(
            image_release=record.image.release,
            current_release=told.release,
            id=record.image.sha256,
            load=told.load,
            memory_usage=told.memory_used,
            disk_usage=told.disk_used,
            ipv4=instance.addresses(),
            cpu_times=told.cpu_times,
            uptime=told.uptime,
            num_snapshots=0,  # always sent: scripts read csv's column 16
            creation_timestamp=Timestamp(seconds=int(record.created)),
        ),
    )


def _damaged(damaged: Damaged, asks: bool) -> DetailedInfoItem:
    """With what the copy of its record tells."""
    status = InstanceStatus(status=damaged.state)
    if (record := damaged.copy) is None:
        about = InstanceDetails(num_snapshots=0)
        return DetailedInfoItem(name=damaged.name, instance_status=status, instance_info=about)
    told = Runtime().completed(record) if asks else Runtime()
    return DetailedInfoItem(
        name=damaged.name,
        instance_status=status,
        memory_total=told.memory_total,
        disk_total=told.disk_total,
        cpu_count=told.cpus,
        instance_info=InstanceDetails(
            image_release=record.image.release,
            id=record.image.sha256,
            num_snapshots=0,
            creation_timestamp=Timestamp(seconds=int(record.created)),
        ),
    )


async def _ask(instance: Instance, silent: Callable[[str], None]) -> Runtime:
    """What it says; nothing if it is silent, which is no reason to fail."""
    try:
        return guest_stats.read(await instance.execute(guest_stats.COMMAND, guest_stats.SECONDS))
    except (GuestSilent, RpcError) as error:
        silent(f"what {instance.name} uses is not known, as it could not be asked: {error}")
        return Runtime()
