"""`start`: start instances and wait until they answer."""

from __future__ import annotations

from multipassd.instances.collection import for_each, named
from multipassd.instances.guests.reachability import START_TIMEOUT
from multipassd.instances.instance import Instance
from multipassd.instances.states.errors import InstancesMissing
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.lifecycle import StartError, StartReply, StartRequest

Code = StartError.ErrorCode


async def run(call: Call[StartRequest], daemon: Daemon) -> None:
    wanted = named(call.request.instance_names)
    if missing := _missing(wanted, daemon):
        raise InstancesMissing(missing)
    seconds = float(call.request.timeout if call.request.timeout > 0 else START_TIMEOUT)

    async def start(instance: Instance) -> None:
        with instance.awaited():
            await instance.start()
            await instance.wait(seconds)

    await for_each(daemon.instances.chosen(wanted), start)
    call.reply(StartReply())


def _missing(names: list[str], daemon: Daemon) -> dict[str, Code]:
    """One that is being prepared or damaged is none of them: `chosen` says so."""
    deleted = {one.name for one in daemon.instances.deleted()}
    there = daemon.instances.taken() - deleted
    return {
        name: Code.INSTANCE_DELETED if name in deleted else Code.DOES_NOT_EXIST
        for name in names
        if name not in there
    }
