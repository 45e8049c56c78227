"""`find`: the images that can be launched. 1.16's deprecated blueprints are none of them."""

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.information import FindReply, FindRequest


async def run(call: Call[FindRequest], daemon: Daemon) -> None:
    request = call.request
    reply = FindReply(show_images=request.show_images, show_blueprints=request.show_blueprints)
    if request.show_images:
        reply.images_info = await daemon.images.find(
            request.search_string,
            request.remote_name,
            request.allow_unsupported,
            request.force_manifest_network_download,
        )
    call.reply(reply)
