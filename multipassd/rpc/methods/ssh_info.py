"""`ssh_info`: where running instances are reached, and the key that they let in."""

from __future__ import annotations

from multipassd.cloudinit.userdata import USER
from multipassd.instances.collection import collect
from multipassd.instances.guests.running_guest import State
from multipassd.instances.instance import Instance
from multipassd.instances.states.errors import NotRunning
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.errors import RpcError
from protocol.messages.lifecycle import SSHInfo, SSHInfoReply, SSHInfoRequest
from protocol.status import Status

LAST_MINUTE = 60.0  # seconds before a delayed stop in which nobody may log in any more


class Unknown(RpcError):
    status = Status.FAILED_PRECONDITION


async def run(call: Call[SSHInfoRequest], daemon: Daemon) -> None:
    names = dict.fromkeys(call.request.instance_name)
    chosen = collect(names, daemon.instances.get_live)
    call.reply(SSHInfoReply(ssh_info={each.name: _info(each, daemon) for each in chosen}))


def _info(instance: Instance, daemon: Daemon) -> SSHInfo:
    if instance.state == State.UNKNOWN:
        raise Unknown("Cannot retrieve credentials in unknown state")
    if not instance.running:
        raise NotRunning(instance.name)
    if instance.stops_within(LAST_MINUTE):
        raise Unknown(
            f'"{instance.name}" is scheduled to shut down in less than a minute, '
            f"use 'multipass stop --cancel {instance.name}' to cancel the shutdown."
        )
    endpoint = instance.endpoint()
    return SSHInfo(
        port=endpoint.port,
        priv_key_base64=daemon.ssh_key.private.decode(),  # PEM, whose body is what the name means
        host=endpoint.host,
        username=USER,
    )
