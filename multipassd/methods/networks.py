"""`networks`: what `launch --network` can connect an instance to."""

from multipassd.call import Call
from multipassd.daemon import Daemon
from multipassd.network import interfaces
from protocol.messages.information import NetInterface, NetworksReply, NetworksRequest


async def run(call: Call[NetworksRequest], daemon: Daemon) -> None:
    found = interfaces.read()
    shown = [
        NetInterface(name=one.name, type=one.type, description=one.description) for one in found
    ]
    call.reply(NetworksReply(interfaces=shown))
