"""`multipass.Trust`: the trusted clients."""

from __future__ import annotations

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.trust import (
    ClientsReply,
    ClientsRequest,
    RemoveReply,
    RemoveRequest,
    TrustedClient,
)


async def clients(call: Call[ClientsRequest], daemon: Daemon) -> None:
    """List the trusted clients, since when and how."""
    clients = [
        TrustedClient(
            fingerprint=record.fingerprint,
            name=record.name,
            how=record.how,
            uid=record.uid,
            enrolled_at=int(record.enrolled_at or 0),
            last_seen=int(record.last_seen or 0),
        )
        for record in daemon.store.records()
    ]
    call.reply(ClientsReply(clients=clients, state=daemon.store.state.name.lower()))


async def remove(call: Call[RemoveRequest], daemon: Daemon) -> None:
    """Remove a trusted client. Takes effect at once, also for its running calls."""
    # A client that removes itself still gets the reply.
    call.outlives_trust = call.request.fingerprint == call.peer.fingerprint
    removed = await daemon.enrolment.revoke([call.request.fingerprint], call.peer, force=True)
    call.reply(RemoveReply(removed=bool(removed)))
