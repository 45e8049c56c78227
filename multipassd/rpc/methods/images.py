"""`find`, and the progress of downloads."""

from __future__ import annotations

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.downloads import Download, DownloadsReply, DownloadsRequest
from protocol.messages.information import FindReply, FindRequest


async def find(call: Call[FindRequest], daemon: Daemon) -> None:
    """The images that can be launched. 1.16's deprecated blueprints are none of them."""
    request = call.request
    reply = FindReply(show_images=request.show_images, show_blueprints=request.show_blueprints)
    if request.show_images:
        reply.images_info = await daemon.images.find(
            request.search_string,
            request.remote_name,
            request.allow_unsupported,
            request.force_manifest_network_download,
            daemon.machines.image_kind,
        )
    call.reply(reply)


async def downloads(call: Call[DownloadsRequest], daemon: Daemon) -> None:
    """Which images are being fetched, for which instances, and how far that is."""
    found = []
    for names, transfer in daemon.images.downloads():
        known = [name for name in names if call.instances.knows(name)]
        if known or call.instances.whole:
            found.append(Download(instance_name=known, **transfer._asdict()))
    call.reply(DownloadsReply(downloads=found))
