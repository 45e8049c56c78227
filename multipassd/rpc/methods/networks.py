"""`networks`: what `launch --network` can connect an instance to."""

from multipassd.network import interfaces
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.information import NetInterface, NetworksReply, NetworksRequest


async def run(call: Call[NetworksRequest], daemon: Daemon) -> None:
    found = interfaces.read()
    shown = [
        NetInterface(name=one.name, type=one.type, description=one.description) for one in found
    ]
    call.reply(NetworksReply(interfaces=shown))
