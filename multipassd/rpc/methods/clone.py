"""`clone`: make another instance like a stopped one."""

from __future__ import annotations

from multipassd.audit.deed import Subject
from multipassd.instances import mount_rights
from multipassd.rpc import caller
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.system import log
from protocol.messages.snapshots import CloneReply, CloneRequest

_log = log.get("clone")


async def clone(call: Call[CloneRequest], daemon: Daemon) -> None:
    """The last reply has the sentence for its user; those before tell how far it is."""
    source = call.instances.get_live(call.request.source_name)

    def report(percent: int) -> None:
        call.reply(CloneReply(reply_message=f"Cloning {source.name}: {percent}%"))

    mounts = mount_rights.divide(source.record.mounts, call.peer.credentials)
    name, owner = call.request.destination_name, caller.owner(call, daemon)
    made = await daemon.cloner.clone(source, name, owner, mounts.granted, report)
    call.deed.whole.subject = Subject((made.name,), source=source.name)
    for mount in mounts.left_out:
        call.warn(_log, mount_rights.sentence(mount, made.name))
    call.reply(CloneReply(reply_message=f"Cloned from {source.name} to {made.name}."))
