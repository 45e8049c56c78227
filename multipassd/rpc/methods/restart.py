"""`restart`: stop and start instances, and wait until they answer."""

from multipassd.instances.collection import for_each, named
from multipassd.instances.guests.reachability import START_TIMEOUT
from multipassd.instances.instance import Instance
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.lifecycle import RestartReply, RestartRequest


async def run(call: Call[RestartRequest], daemon: Daemon) -> None:
    chosen = daemon.instances.chosen(named(call.request.instance_names))
    seconds = float(call.request.timeout if call.request.timeout > 0 else START_TIMEOUT)

    for instance in chosen:
        instance.may_restart()  # told without the heading of a list, as in 1.16

    async def restart(instance: Instance) -> None:
        with instance.awaited():
            await instance.restart()
            await instance.wait(seconds)

    await for_each(chosen, restart)
    call.reply(RestartReply())
