"""`ping`: is the caller trusted? The gate has answered by the time this runs."""

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.access import PingReply, PingRequest


async def run(call: Call[PingRequest], daemon: Daemon) -> None:
    call.reply(PingReply())
