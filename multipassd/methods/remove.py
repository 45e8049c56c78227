"""`remove` (of multipass.Trust): take trust back; counts at once, on open connections too."""

from multipassd.call import Call
from multipassd.daemon import Daemon
from protocol.messages.trust import RemoveReply, RemoveRequest


async def run(call: Call[RemoveRequest], daemon: Daemon) -> None:
    removed = await daemon.enrolment.remove(call.request.fingerprint, call.peer)
    call.reply(RemoveReply(removed=removed))
