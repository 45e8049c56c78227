"""`version`: the daemon's."""

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.access import VersionReply, VersionRequest
from protocol.version import VERSION


async def run(call: Call[VersionRequest], daemon: Daemon) -> None:
    call.reply(VersionReply(version=VERSION))
