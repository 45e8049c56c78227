"""`launch` (and `create`, its old name): make an instance and wait until it can be used."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from multipassd.audit.deed import Subject
from multipassd.drivers.interface import TARGET
from multipassd.images.image import Progress
from multipassd.instances import placing
from multipassd.instances.instance import Instance
from multipassd.instances.launching import launch_networks, launch_spec
from multipassd.instances.launching.launch_spec import LaunchSpec, NetworkSpec
from multipassd.instances.launching.reporter import Reporter
from multipassd.rpc import caller
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.system import log
from protocol.errors import RpcError
from protocol.messages.launch import LaunchProgress, LaunchReply, LaunchRequest
from protocol.settings import BRIDGED_NETWORK

_log = log.get("launch")


async def launch(call: Call[LaunchRequest], daemon: Daemon) -> None:
    asked = launch_spec.read(
        call.request, daemon.instances.taken(), daemon.instances.driver.max_cpus
    )
    if asked.target:  # before anything is bridged; whether it is there, the launcher asks
        placing.check(daemon.instances.driver, asked.target, TARGET)
    asked = replace(asked, caller=call.peer.credentials, owner=caller.owner(call, daemon))
    if not asked.networks:
        await _launch(call, asked, daemon)
        return
    try:
        asked = replace(asked, networks=await _networks(call, asked, daemon))
        await _launch(call, asked, daemon)
    except BaseException:
        if call.request.permission_to_bridge:
            cleaning = daemon.tasks.spawn(_clean_up(daemon, daemon.launcher.left.get(asked.name)))
            if asked.name not in daemon.launcher.left:
                await asyncio.shield(cleaning)
        raise


async def _clean_up(daemon: Daemon, left: asyncio.Task[Instance] | None) -> None:
    """Put back what was bridged for nothing; of a launch that goes on, once that is known."""
    if left is not None:
        await asyncio.wait({left})
    with suppress(RpcError):  # what went wrong first is what counts
        await daemon.instances.networking.clean_up()


async def _launch(call: Call[LaunchRequest], asked: LaunchSpec, daemon: Daemon) -> None:
    call.deed.whole.subject = Subject((asked.name,))
    report = Reporter(
        step=lambda text: call.reply(LaunchReply(create_message=text)),
        progress=lambda kind, percent: call.reply(progress(kind, percent)),
        message=lambda text: call.reply(LaunchReply(reply_message=text)),
        launched=call.deed.whole.took_effect,
        warn=lambda text: call.warn(_log, text),
    )
    instance = await daemon.launcher.launch(asked, report)
    call.reply(LaunchReply(vm_instance_name=instance.name))


async def _networks(
    call: Call[LaunchRequest], asked: LaunchSpec, daemon: Daemon
) -> tuple[NetworkSpec, ...]:
    """With bridges for all of them. Raises RpcError; devices without a bridge are named first."""
    networking = daemon.instances.networking
    found = await networking.available()
    bridged = daemon.settings.get(BRIDGED_NETWORK)
    taken = daemon.instances.registry.mac_addresses()
    chosen = launch_networks.choose(asked.networks, found, bridged, taken)
    if not networking.reaches_host_networks:
        raise launch_networks.NoNetworks
    missing = launch_networks.without_bridge(chosen, found)
    if missing:
        caller.check_admin(call)  # a new bridge changes the host's network
    if missing and not call.request.permission_to_bridge:
        call.reply(LaunchReply(nets_need_bridging=missing))
        raise launch_networks.MissingBridges
    for device in missing:
        await networking.bridge(device)
    return chosen


def progress(kind: Progress, percent: int) -> LaunchReply:
    told = LaunchProgress(type=int(kind), percent_complete=str(percent))
    return LaunchReply(launch_progress=told)
