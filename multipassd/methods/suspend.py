"""`suspend`: save instances' state and end them."""

from multipassd.call import Call
from multipassd.daemon import Daemon
from multipassd.instances.instances import for_each
from protocol.messages.lifecycle import SuspendReply, SuspendRequest


async def run(call: Call[SuspendRequest], daemon: Daemon) -> None:
    names = call.request.instance_names
    chosen = daemon.instances.chosen(names.instance_name if names is not None else [])
    await for_each(chosen, lambda instance: instance.suspend())
    call.reply(SuspendReply())
