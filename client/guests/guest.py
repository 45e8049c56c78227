"""Access to an instance, from the service: address, login user, host key, and what it lets in."""

from __future__ import annotations

from client import instance_messages, rpc
from client.errors import CommandFailed, Status, StatusError
from client.guests import connection, idle
from client.terminal import console
from protocol import grpc
from protocol.addresses import TcpAddress
from protocol.messages.guests import (
    CertifyReply,
    CertifyRequest,
    HostKeysReply,
    HostKeysRequest,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from client.guests.connection import Connection
    from client.guests.relay import Relay
    from client.session import Session
    from client.transport.channel import Channel
    from protocol.messages.lifecycle import SSHInfo

    Result = TypeVar("Result")

CERTIFY = grpc.path("certify", grpc.GUESTS_SERVICE)
SSH_INFO = "protocol.messages.lifecycle"  # where the message is, which takes 3 ms to load
HOST_KEYS = grpc.path("host_keys", grpc.GUESTS_SERVICE)


class Refused(CommandFailed):
    """The instance has refused the certificate or the key."""


class Stale(CommandFailed):
    """A connection is of no use: an earlier one has ended, or a new one can't be shared. The
    instance was not sent the command."""


class Guest:
    """`host_key` is as in known_hosts files; None where the service has no way to tell it.

    `certificate`: of the key in `ssh`, which was made for this log-in; empty where that is the key
    that all instances share. `otherwise` gets that for an instance that refuses the certificate.
    `relay`: the way to it where only the service reaches its address. `connection`: the one that
    its sessions share; without it each makes its own.
    """

    def __init__(
        self,
        name: str,
        ssh: SSHInfo,
        host_key: str | None,
        certificate: str = "",
        otherwise: Callable[[], Guest] | None = None,
        relay: Relay | None = None,
        connection: Connection | None = None,
    ) -> None:
        self.name = name
        self.ssh = ssh
        self.host_key = host_key
        self.certificate = certificate
        self.relay = relay
        self.connection = connection
        self.otherwise = otherwise

    def log_in(self, attempt: Callable[[Guest], Result]) -> Result:
        """The result of `attempt`, which is made once more with the shared key if the instance
        refuses the certificate, with a new connection if an earlier one has ended, and with one
        for it alone if there can be no shared one. Raises CommandFailed."""
        try:
            return attempt(self)
        except Stale:
            if self.connection is not None and not self.connection.reused:
                self.connection = None
                return attempt(self)
            if self.otherwise is None:
                raise
            return self.otherwise().log_in(attempt)
        except Refused:
            if self.otherwise is None:
                raise
            return attempt(self.otherwise())


def reach(session: Session, name: str, channel: Channel) -> Guest:
    """By the connection of an earlier command, if there is one that the service lets this client
    use; else by a new one, which begins now. Raises CommandFailed; StatusError with ABORTED if the
    instance does not run."""
    place = "" if _is_relayed(session) else idle.directory()
    prefix = idle.whose(session, channel.certificate, name) if place else ""
    kept = connection.take(place, prefix) if prefix else None
    try:
        found, run = _certified(session, name, channel, run=kept.run if kept else "")
        if kept is not None and kept.run == run:
            found.connection = kept
            found.otherwise = lambda: reach(session, name, channel)
            return found
    except BaseException:
        if kept is not None:
            kept.close()
        raise
    if kept is not None:
        kept.close()
    if prefix and run and (stem := idle.stem(place, prefix, run)) and idle.make(place):
        idle.sweep(place)
        found.connection = connection.begin(found, stem)
    return found


def _certified(
    session: Session, name: str, channel: Channel, run: str = "", refused: bool = False
) -> tuple[Guest, str]:
    """And what the service calls the run of the instance; if that is `run`, there is no key.
    `refused`: the instance has refused a certificate just now. Raises as `reach` does."""
    from client.guests import keypair

    try:
        pair = keypair.make()
        request = CertifyRequest(
            instance_name=name,
            public_key=pair.public,
            refused=refused,
            verbosity_level=session.verbosity,
            connection=run,
        )
        reply = rpc.call(session, CERTIFY, request, CertifyReply, channel, (SSH_INFO,))
    except ImportError:  # no key can be made here
        return _by_shared_key(session, name, channel), ""
    except StatusError as error:
        if error.status != Status.UNIMPLEMENTED:
            raise
        return _by_shared_key(session, name, channel), ""
    if not reply.host:
        raise CommandFailed(instance_messages.no_ssh_information(name))
    if not reply.host_key:
        raise CommandFailed(instance_messages.no_host_key(name))
    if reply.why_shared and session.verbosity:
        console.log("warning", "ssh", instance_messages.by_shared_key(name, reply.why_shared))
    from protocol.messages.lifecycle import SSHInfo

    found = Guest(
        name,
        SSHInfo(
            host=reply.host,
            port=reply.port,
            username=reply.username,
            priv_key_base64=pair.private.decode() if reply.certificate else reply.private_key,
        ),
        reply.host_key,
        reply.certificate,
        (lambda: _certified(session, name, channel, refused=True)[0])
        if reply.certificate
        else None,
        _relay(session, name, channel),
    )
    return found, reply.connection


def _by_shared_key(session: Session, name: str, channel: Channel) -> Guest:
    """As with a service that issues no certificates. Raises as `reach` does."""
    from protocol.messages.lifecycle import SSHInfoReply, SSHInfoRequest

    request = SSHInfoRequest(instance_name=[name], verbosity_level=session.verbosity)
    found = rpc.call(session, "ssh_info", request, SSHInfoReply, channel).ssh_info.get(name)
    if found is None:
        raise CommandFailed(instance_messages.no_ssh_information(name))
    host_key = _host_key(session, name, channel)
    # Multipass's own service relays nothing: there the address has to do.
    relay = _relay(session, name, channel) if host_key is not None else None
    return Guest(name, found, host_key, relay=relay)


def _relay(session: Session, name: str, channel: Channel) -> Relay | None:
    """The way to the instance, None where the service is on this host. Raises AddressError."""
    if not _is_relayed(session):
        return None
    from client.guests.relay import Relay

    return Relay(channel, name)


def _is_relayed(session: Session) -> bool:
    """Raises AddressError."""
    return isinstance(session.address(), TcpAddress)


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
