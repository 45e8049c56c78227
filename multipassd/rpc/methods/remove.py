"""`remove` (of multipass.Trust): take trust back; counts at once, for calls that run, too."""

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.trust import RemoveReply, RemoveRequest


async def run(call: Call[RemoveRequest], daemon: Daemon) -> None:
    # Who takes back its own is told that it is done.
    call.outlives_trust = call.request.fingerprint == call.peer.fingerprint
    removed = await daemon.enrolment.remove(call.request.fingerprint, call.peer)
    call.reply(RemoveReply(removed=removed))
