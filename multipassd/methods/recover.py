"""`recover`: get deleted instances back."""

from multipassd.call import Call
from multipassd.daemon import Daemon
from multipassd.instances.instances import collect, named
from protocol.messages.lifecycle import RecoverReply, RecoverRequest


async def run(call: Call[RecoverRequest], daemon: Daemon) -> None:
    wanted = named(call.request.instance_names)
    instances = daemon.instances
    chosen = collect(dict.fromkeys(wanted), instances.get) if wanted else instances.deleted()
    peer = call.peer
    for instance in chosen:
        instance.change(deleted=False)
        daemon.audit.instance("recovered", instance.name, peer.uid, peer.fingerprint)
    call.reply(RecoverReply())
