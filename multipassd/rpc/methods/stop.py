"""`stop`: at once, in some minutes, by force; or cancel one that is due."""

from __future__ import annotations

from multipassd.instances.collection import for_each, named
from multipassd.instances.instance import Instance
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.lifecycle import StopReply, StopRequest


async def run(call: Call[StopRequest], daemon: Daemon) -> None:
    request = call.request
    chosen = daemon.instances.chosen(named(request.instance_names))
    if request.cancel_shutdown:
        for instance in chosen:
            instance.cancel_stop()
    elif request.time_minutes > 0 and not request.force_stop:
        await for_each(chosen, lambda instance: _later(instance, request.time_minutes))
    else:
        await for_each(chosen, lambda instance: instance.stop(force=request.force_stop))
    call.reply(StopReply())


async def _later(instance: Instance, minutes: int) -> None:
    instance.schedule_stop(minutes)
