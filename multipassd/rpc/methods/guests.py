"""How a client logs in to an instance: `certify`, in place of `ssh_info` and `host_keys`."""

from __future__ import annotations

from multipassd.instances.finder import collect
from multipassd.instances.guests.login_way import REFUSED
from multipassd.instances.instance import Instance
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods import information
from protocol.errors import RpcError
from protocol.messages.guests import CertifyReply, CertifyRequest
from protocol.status import Status

FINGERPRINT = 12  # digits of a client's that are in a guest's log; `multipass clients` shows more


class NoCertificates(RpcError):
    """The instance lets no certificate in, and the caller does not get the shared key."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, name: str, why: str, withheld: str) -> None:
        super().__init__(
            f"{name} can't be logged in to by a certificate: {why}. The key that all instances "
            f"share is not given out, as {withheld}."
        )


async def certify(call: Call[CertifyRequest], daemon: Daemon) -> None:
    """A certificate for one log-in to one instance, and where that is. Or the shared key, for an
    instance that lets no certificate in. Raises what `ssh_info` does, NoCertificates."""
    (instance,) = collect([call.request.instance_name], call.instances.get_live)
    await information.answering(instance)
    endpoint = information.log_in(instance)
    reply = CertifyReply(
        host=endpoint.host,
        port=endpoint.port,
        username=endpoint.user,
        host_key=await information.host_key(instance),
    )
    if call.request.refused:
        instance.way.note_refusal()
    if reply_why := _why_shared(call, daemon, instance):
        reply.why_shared = reply_why
        # PEM, as in ssh_info
        reply.private_key = daemon.ssh_key.private_of(instance.record.ssh_key).decode()
    else:
        key_id = f"{call.standing.name} {call.peer.fingerprint[:FINGERPRINT]}".strip()
        reply.certificate = daemon.ssh_authority.certify(
            call.request.public_key, instance.record, key_id
        )
    call.reply(reply)


def _why_shared(call: Call[CertifyRequest], daemon: Daemon, instance: Instance) -> str:
    """Why the caller gets the shared key; empty if it gets a certificate. Raises NoCertificates."""
    authority = daemon.ssh_authority.public
    withheld = why_withheld(call)
    if not withheld:
        return instance.way.why_shared(authority)
    # A refusal is not remembered: a certificate is the only way, and the next may be taken.
    why = REFUSED if call.request.refused else ""
    if why := instance.way.why_untrusting(authority) or why:
        raise NoCertificates(instance.name, why, withheld)
    return ""


def why_withheld(call: Call[CertifyRequest]) -> str:
    """Why the caller does not get the key that all instances share, a clause; empty if it does."""
    if not call.standing.administrates:
        return "it opens the instances of others, too"
    return ""
