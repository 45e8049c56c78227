"""`host_keys`: what instances' SSH host keys are, so that clients need not trust the first one."""

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.guests import HostKeysReply, HostKeysRequest


async def run(call: Call[HostKeysRequest], daemon: Daemon) -> None:
    names = dict.fromkeys(call.request.instance_name)
    keys = {name: daemon.instances.get_live(name).record.host_key for name in names}
    call.reply(HostKeysReply(host_keys=keys))
