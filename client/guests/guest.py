"""Access to an instance: address, login user, private key and host key, from the service."""

from __future__ import annotations

from client import instance_messages, rpc
from client.errors import CommandFailed, Status, StatusError
from client.terminal import console
from protocol import grpc
from protocol.messages.guests import HostKeysReply, HostKeysRequest
from protocol.messages.lifecycle import SSHInfoReply, SSHInfoRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.session import Session
    from client.transport.channel import Channel
    from protocol.messages.lifecycle import SSHInfo

HOST_KEYS = grpc.path("host_keys", grpc.GUESTS_SERVICE)


class Guest:
    """`host_key` is as in known_hosts files; None where the service has no way to tell it."""

    def __init__(self, name: str, ssh: SSHInfo, host_key: str | None) -> None:
        self.name = name
        self.ssh = ssh
        self.host_key = host_key


def reach(session: Session, name: str, channel: Channel) -> Guest:
    """Raises CommandFailed; StatusError with ABORTED if the instance does not run."""
    request = SSHInfoRequest(instance_name=[name], verbosity_level=session.verbosity)
    found = rpc.call(session, "ssh_info", request, SSHInfoReply, channel).ssh_info.get(name)
    if found is None:
        raise CommandFailed(instance_messages.no_ssh_information(name))
    return Guest(name, found, _host_key(session, name, channel))


def _host_key(session: Session, name: str, channel: Channel) -> str | None:
    """The instance's host key, None if the service lacks the call. Raises CommandFailed."""
    request = rpc.encode(HostKeysRequest(instance_name=[name]))
    reply = HostKeysReply()
    try:
        for data in channel.call(HOST_KEYS, request):
            reply = rpc.decode(HostKeysReply, data)
    except StatusError as error:
        if error.status != Status.UNIMPLEMENTED:
            raise
        if session.verbosity:
            console.log("warning", "ssh", instance_messages.NOT_PINNED)
        return None
    if not reply.host_keys.get(name):
        raise CommandFailed(instance_messages.no_host_key(name))
    return reply.host_keys[name]
