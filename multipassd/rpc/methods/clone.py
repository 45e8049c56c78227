"""`clone`: make another instance like a stopped one."""

from __future__ import annotations

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.snapshots import CloneReply, CloneRequest


async def clone(call: Call[CloneRequest], daemon: Daemon) -> None:
    """The last reply has the sentence for its user; those before tell how far it is."""
    source = daemon.instances.get_live(call.request.source_name)

    def report(percent: int) -> None:
        call.reply(CloneReply(reply_message=f"Cloning {source.name}: {percent}%"))

    made = await daemon.cloner.clone(source, call.request.destination_name, report)
    daemon.audit.instance("cloned", made.name, call.peer.uid, call.peer.fingerprint)
    call.reply(CloneReply(reply_message=f"Cloned from {source.name} to {made.name}."))
