"""`keys`: the settings that the daemon keeps, its own and those of each instance."""

from multipassd.instances import settings as of_instances
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.access import KeysReply, KeysRequest


async def run(call: Call[KeysRequest], daemon: Daemon) -> None:
    names = [instance.name for instance in daemon.instances.all()]
    keys = sorted([*daemon.settings.keys(), *of_instances.keys(names)])
    call.reply(KeysReply(settings_keys=keys))
