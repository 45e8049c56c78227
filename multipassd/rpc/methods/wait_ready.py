"""`wait_ready`: answered as soon as calls are served at all, to everybody who may connect."""

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.access import WaitReadyReply, WaitReadyRequest


async def run(call: Call[WaitReadyRequest], daemon: Daemon) -> None:
    call.reply(WaitReadyReply())
