"""`suspend`: save instances' state and end them."""

from multipassd.call import Call
from multipassd.daemon import Daemon
from multipassd.instances.instances import for_each, named
from protocol.messages.lifecycle import SuspendReply, SuspendRequest


async def run(call: Call[SuspendRequest], daemon: Daemon) -> None:
    chosen = daemon.instances.chosen(named(call.request.instance_names))
    await for_each(chosen, lambda instance: instance.suspend())
    call.reply(SuspendReply())
