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
    """Whom the service trusts, since when and why."""
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
    """Take trust back; counts at once, for calls that run, too."""
    # Who takes back its own is told that it is done.
    call.outlives_trust = call.request.fingerprint == call.peer.fingerprint
    removed = await daemon.enrolment.remove(call.request.fingerprint, call.peer)
    call.reply(RemoveReply(removed=removed))
