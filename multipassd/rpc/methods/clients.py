"""`clients` (of multipass.Trust): whom the service trusts, since when and why."""

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.trust import ClientsReply, ClientsRequest, TrustedClient


async def run(call: Call[ClientsRequest], daemon: Daemon) -> None:
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
