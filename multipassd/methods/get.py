"""`get`: one setting's value; of the passphrase only whether there is one."""

from multipassd.call import Call
from multipassd.daemon import Daemon
from protocol.messages.access import GetReply, GetRequest


async def run(call: Call[GetRequest], daemon: Daemon) -> None:
    call.reply(GetReply(value=daemon.settings.get(call.request.key)))
