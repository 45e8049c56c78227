"""`downloads`: which images are being fetched, for whom, and how far that is."""

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.downloads import Download, DownloadsReply, DownloadsRequest


async def run(call: Call[DownloadsRequest], daemon: Daemon) -> None:
    found = [
        Download(instance_name=names, **transfer._asdict())
        for names, transfer in daemon.images.downloads()
    ]
    call.reply(DownloadsReply(downloads=found))
