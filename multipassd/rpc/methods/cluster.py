"""`move`: bring an instance to another host of the cluster that the driver's machines are on."""

from __future__ import annotations

from multipassd.instances import placing
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.cluster import MoveReply, MoveRequest


async def move(call: Call[MoveRequest], daemon: Daemon) -> None:
    """It goes on when the caller disconnects: an instance is on one host or the other."""
    member, driver = call.request.member, daemon.instances.driver
    instance = call.instances.get_live(call.request.instance_name)
    await placing.check_move(instance, driver, member)
    if not await daemon.tasks.complete(placing.move(instance, driver, member)):
        call.deed.whole.had_nothing_to_do()
    call.reply(MoveReply())
