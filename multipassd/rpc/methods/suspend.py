"""`suspend`: save instances' state and end them."""

from multipassd.instances.collection import for_each, named
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.lifecycle import SuspendReply, SuspendRequest


async def run(call: Call[SuspendRequest], daemon: Daemon) -> None:
    chosen = daemon.instances.chosen(named(call.request.instance_names))
    await for_each(chosen, lambda instance: instance.suspend())
    call.reply(SuspendReply())
