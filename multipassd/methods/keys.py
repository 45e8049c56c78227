"""`keys`: the settings that the daemon keeps."""

from multipassd.call import Call
from multipassd.daemon import Daemon
from protocol.messages.access import KeysReply, KeysRequest


async def run(call: Call[KeysRequest], daemon: Daemon) -> None:
    call.reply(KeysReply(settings_keys=daemon.settings.keys()))
