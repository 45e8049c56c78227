"""What is known of instances and of the host: `info`, `networks`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from multipassd.instances import selection
from multipassd.instances.guests import guest_stats
from multipassd.instances.guests.guest_stats import Runtime
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged
from multipassd.instances.states.errors import GuestSilent
from multipassd.instances.states.state import AT_REST
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods import mounts, snapshots
from multipassd.rpc.methods.listing import status_of, tell_troubles
from multipassd.system import log
from protocol.errors import RpcError, StorageFailed
from protocol.messages.common import Timestamp
from protocol.messages.information import (
    DetailedInfoItem,
    InfoReply,
    InfoRequest,
    InstanceDetails,
    NetInterface,
    NetworksReply,
    NetworksRequest,
)

_log = log.get("instances")


async def info(call: Call[InfoRequest], daemon: Daemon) -> None:
    """What is known of instances, of running ones also what they say themselves; of snapshots."""
    selected = selection.read(call.instances, call.request.instance_snapshot_pairs)
    if call.request.snapshots:
        selected = selection.only_snapshots(selected)
    chosen = selected.instances
    asks = not call.request.no_runtime_information
    silent: list[str] = []
    mounting = mounts.enabled(daemon)
    if not mounting and any(isinstance(each, Instance) and each.record.mounts for each in chosen):
        _tell(call, mounts.DISABLED_IN_INFO, "ERROR")
    items = list(
        await asyncio.gather(
            *(_item(each, daemon, asks, mounting, silent.append) for each in chosen)
        )
    )
    for text in silent:
        _tell(call, text)
    # Where it concerns one of these: `exec` asks for its instance, too, before it runs in it.
    if any(isinstance(each, Instance) and _unreached(each, daemon) for each in chosen):
        tell_troubles(call, chosen, daemon)
    await _explain(call, chosen, daemon)
    items += await snapshots.items(selected.snapshots)
    call.reply(InfoReply(details=items, snapshots=call.request.snapshots))


def _unreached(instance: Instance, daemon: Daemon) -> str:
    return daemon.instances.driver.trouble(instance.name)


async def _explain(
    call: Call[InfoRequest], chosen: list[Instance | Damaged], daemon: Daemon
) -> None:
    """1.16's reply has no field for why an instance stopped or does not answer; -v tells it."""
    if call.request.verbosity_level <= 0:
        return
    for each in chosen:
        if isinstance(each, Instance):
            _tell(call, await asyncio.to_thread(_way, each, daemon), "INFO")
    troubles = await asyncio.gather(*(_trouble(each) for each in chosen))
    if call.standing.administrates and any(
        isinstance(each, Instance) and each.state not in AT_REST for each in chosen
    ):
        troubles += daemon.instances.networking.troubles()
    for text in troubles:
        if text:
            _tell(call, text)


def _way(instance: Instance, daemon: Daemon) -> str:
    """How `exec`, `shell` and `transfer` log in, a sentence."""
    try:
        authority = daemon.ssh_authority.public
        withheld = daemon.guest_access.why_withheld(instance)
        way = instance.way
        why = way.why_untrusting(authority) if withheld else way.why_shared(authority)
    except StorageFailed as error:
        return error.message
    by = "the key that all instances share" if why else "certificates"
    return f"{instance.name} is logged in to by {by}{f': {why}' if why else ''}"


def _tell(call: Call[InfoRequest], text: str, level: str = "WARNING") -> None:
    told = {"name": _log.name, "levelname": level, "msg": text}
    call.log_line(log.line(logging.makeLogRecord(told)) + "\n")


async def _trouble(each: Instance | Damaged) -> str:
    return each.trouble if isinstance(each, Damaged) else await each.trouble()


async def _item(
    instance: Instance | Damaged,
    daemon: Daemon,
    asks: bool,
    shows_mounts: bool,
    silent: Callable[[str], None],
) -> DetailedInfoItem:
    """`silent` is called with a sentence about a guest that could not be asked what it uses."""
    if isinstance(instance, Damaged):
        return _damaged(instance, asks)
    told = await _ask(instance, silent) if asks and instance.running else Runtime()
    record = instance.record
    if asks and instance.state not in AT_REST:
        told = told.completed(record)
    details = InstanceDetails(
        image_release=record.image.release,
        current_release=told.release,
        id=record.image.sha256,
        load=told.load,
        memory_usage=told.memory_used,
        disk_usage=told.disk_used,
        cpu_times=told.cpu_times,
        uptime=told.uptime,
        num_snapshots=len(record.snapshots),  # always sent: scripts read csv's column 16
        creation_timestamp=Timestamp(seconds=int(record.created)),
    )
    instance.describe(details)
    details.owner = record.owner
    details.location = daemon.instances.driver.place(instance.name)
    details.reached = daemon.instances.driver.way(instance.name)
    return DetailedInfoItem(
        name=instance.name,
        instance_status=status_of(instance),
        memory_total=told.memory_total,
        disk_total=told.disk_total,
        cpu_count=told.cpus,
        mount_info=mounts.described(record.mounts if shows_mounts else ()),
        instance_info=details,
    )


def _damaged(damaged: Damaged, asks: bool) -> DetailedInfoItem:
    """With what the copy of its record tells."""
    status = status_of(damaged)
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
            num_snapshots=len(record.snapshots),
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


async def networks(call: Call[NetworksRequest], daemon: Daemon) -> None:
    """What `launch --network` can connect an instance to."""
    found = await daemon.instances.networking.available()
    shown = [
        NetInterface(name=each.name, type=each.type, description=each.description) for each in found
    ]
    call.reply(NetworksReply(interfaces=shown))
