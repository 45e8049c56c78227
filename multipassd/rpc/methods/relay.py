"""`relay`: a client that can't reach an instance's address reaches its SSH server through the
service."""

from __future__ import annotations

from multipassd.instances.guests import relay as guest_relay
from multipassd.instances.instance import Instance
from multipassd.instances.states.errors import NotRunning
from multipassd.instances.states.state import State
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods.guests import reach
from protocol.errors import MalformedRequest
from protocol.messages.guests import RelayReply, RelayRequest


async def relay(call: Call[RelayRequest], daemon: Daemon) -> None:
    """As long as both sides want, the caller stays trusted, the instance is there for it and runs,
    and the service does not stop. Raises what `ssh_info` does, MalformedRequest, Unreachable."""
    name = call.request.instance_name
    if not name:
        raise MalformedRequest("malformed request: the first message names no instance")
    endpoint = await reach(call.instances.get_live(name))
    call.deed.done_already()
    call.check = lambda: _check(call.instances.get_live(name))
    await guest_relay.run(endpoint, Caller(call))


def _check(instance: Instance) -> None:
    """A machine that is switched off says nothing on its network. Raises NotRunning."""
    if instance.state is State.STOPPED:
        raise NotRunning(instance.name)


class Caller:
    """The call as the relay sees it."""

    def __init__(self, call: Call[RelayRequest]) -> None:
        self._call = call
        self._first: bytes | None = call.request.data

    async def receive(self) -> bytes | None:
        if first := self._first:
            self._first = None
            return first
        request = await self._call.further()
        return None if request is None else request.data

    async def send(self, data: bytes) -> None:
        await self._call.stream(RelayReply(data=data))

    async def end(self) -> None:
        await self._call.stream(RelayReply(ended=True))
