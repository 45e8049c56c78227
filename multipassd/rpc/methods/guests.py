"""How a client logs in to instances: `certify`; and for 1.16's clients `ssh_info`, `host_keys`."""

from __future__ import annotations

import asyncio

from multipassd.auth.standing import Standing
from multipassd.instances.finder import collect
from multipassd.instances.guests.guest_ssh import Endpoint
from multipassd.instances.guests.login_way import REFUSED
from multipassd.instances.instance import Instance
from multipassd.instances.states.errors import NotRunning
from multipassd.instances.states.state import COMING_UP, State
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.errors import RpcError, StorageFailed
from protocol.messages.guests import (
    CertifyReply,
    CertifyRequest,
    HostKeysReply,
    HostKeysRequest,
)
from protocol.messages.lifecycle import SSHInfo, SSHInfoReply, SSHInfoRequest
from protocol.status import Status

FINGERPRINT = 12  # digits of a client's that are in a guest's log; `multipass clients` shows more
LAST_MINUTE = 60.0  # seconds before a delayed stop in which log-ins are refused


class Unknown(RpcError):
    """Log-ins are refused in the instance's present state."""

    status = Status.FAILED_PRECONDITION


class NoCertificates(RpcError):
    """The instance lets no certificate in, and the caller does not get the shared key."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, name: str, why: str, withheld: str) -> None:
        super().__init__(
            f"{name} can't be logged in to by a certificate: {why}. The key that all instances "
            f"share is not given out, as {withheld}."
        )


class KeyWithheld(RpcError):
    """The caller asks for the shared key and does not get it."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, withheld: str) -> None:
        super().__init__(
            "The key that all instances share is not given out, as "
            f"{withheld}. A client of this release logs in by a certificate instead."
        )


# -- by certificates ------------------------------------------------------------------------------


async def certify(call: Call[CertifyRequest], daemon: Daemon) -> None:
    """A certificate for one log-in to one instance, and where that is; or the shared key, for an
    instance that lets no certificate in; or neither, for a client that has a connection to it.
    Raises what `ssh_info` does, NoCertificates."""
    (instance,) = collect([call.request.instance_name], call.instances.get_live)
    endpoint = await reach(instance)
    reply = CertifyReply(
        host=endpoint.host,
        port=endpoint.port,
        username=endpoint.user,
        host_key=await _host_key(instance),
        connection=endpoint.run,
    )
    if endpoint.run and call.request.connection == endpoint.run:
        await daemon.guest_access.note_certificate(call.peer)  # it may have been let in anew
        call.reply(reply)
        return
    if call.request.refused and not why_withheld(call.standing):
        instance.way.note_refusal()  # a user's word gives no one else another way in
    if why := await asyncio.to_thread(_why_shared, call, daemon, instance):
        reply.why_shared = why
        reply.private_key = await daemon.guest_access.give_key(call.peer, instance)
    else:
        await daemon.guest_access.note_certificate(call.peer)
        key_id = f"{call.standing.name} {call.peer.fingerprint[:FINGERPRINT]}".strip()
        reply.certificate = await asyncio.to_thread(
            daemon.ssh_authority.certify, call.request.public_key, instance.record, key_id
        )
    call.reply(reply)


def _why_shared(call: Call[CertifyRequest], daemon: Daemon, instance: Instance) -> str:
    """Why the caller gets the shared key; empty if it gets a certificate. Raises NoCertificates,
    StorageFailed."""
    withheld = why_withheld(call.standing) or daemon.guest_access.why_withheld(instance)
    if not withheld:
        try:
            return instance.way.why_shared(daemon.ssh_authority.public)
        except StorageFailed as error:
            return error.message
    # A refusal is not remembered: a certificate is the only way, and the next may be taken.
    refused = REFUSED if call.request.refused else ""
    if why := instance.way.why_untrusting(daemon.ssh_authority.public) or refused:
        raise NoCertificates(instance.name, why, withheld)
    return ""


# -- by the key that all instances share ----------------------------------------------------------


def why_withheld(standing: Standing) -> str:
    """Why a caller does not get the key that all instances share, a clause; empty if it does."""
    return "" if standing.administrates else "it opens the instances of others, too"


async def ssh_info(call: Call[SSHInfoRequest], daemon: Daemon) -> None:
    """Where running instances are reached, and the key that they let in. Raises KeyWithheld."""
    names = dict.fromkeys(call.request.instance_name)
    chosen = collect(names, call.instances.get_live)
    for instance in chosen:
        await _answering(instance)
    endpoints = {each.name: _endpoint(each) for each in chosen}
    for instance in chosen:
        if why := why_withheld(call.standing) or daemon.guest_access.why_withheld(instance):
            raise KeyWithheld(why)
    found = {
        each.name: SSHInfo(
            port=endpoints[each.name].port,
            # PEM, whose body is what the name means
            priv_key_base64=await daemon.guest_access.give_key(call.peer, each),
            host=endpoints[each.name].host,
            username=endpoints[each.name].user,
        )
        for each in chosen
    }
    call.reply(SSHInfoReply(ssh_info=found))


async def host_keys(call: Call[HostKeysRequest], daemon: Daemon) -> None:
    """What instances' SSH host keys are, so that clients need not trust the first one."""
    found = [call.instances.get_live(name) for name in dict.fromkeys(call.request.instance_name)]
    call.reply(HostKeysReply(host_keys={each.name: await _host_key(each) for each in found}))


# -- of one instance ------------------------------------------------------------------------------


async def reach(instance: Instance) -> Endpoint:
    """Where a running one's SSH server is. Raises what `ssh_info` does."""
    await _answering(instance)
    return _endpoint(instance)


async def _answering(instance: Instance) -> None:
    """Wait for one that comes up with a scheduled stop, as after a restart of the daemon. Told that
    it does not run, the client would call `start`, which cancels that stop once it answers."""
    if instance.state in COMING_UP and instance.record.stop_at:
        await instance.wait()


def _endpoint(instance: Instance) -> Endpoint:
    """Where it is reached. Raises NotRunning, Unknown."""
    if instance.state is State.UNKNOWN:
        raise Unknown("Cannot retrieve credentials in unknown state")
    if not instance.running:
        raise NotRunning(instance.name)
    if instance.delayed_stop.within(LAST_MINUTE):
        raise Unknown(
            f'"{instance.name}" is scheduled to shut down in less than a minute, '
            f"use 'multipass stop --cancel {instance.name}' to cancel the shutdown."
        )
    return instance.endpoint()


async def _host_key(instance: Instance) -> str:
    """Empty while it is not known, of one that does not run."""
    if not instance.record.host_key and instance.running:
        await instance.wait()  # the log-in that this ends with learns it
    return instance.record.host_key
