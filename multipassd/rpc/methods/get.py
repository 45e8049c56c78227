"""`get`: one setting's value; of the passphrase only whether there is one."""

from multipassd.instances import settings as of_instances
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.access import GetReply, GetRequest
from protocol.settings import BRIDGED_NETWORK


async def run(call: Call[GetRequest], daemon: Daemon) -> None:
    if key := of_instances.read_key(call.request.key):
        network = daemon.settings.get(BRIDGED_NETWORK)
        value = of_instances.show(daemon.instances, key, network)
    else:
        value = daemon.settings.get(call.request.key)
    call.reply(GetReply(value=value))
