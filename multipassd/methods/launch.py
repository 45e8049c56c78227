"""`launch` (and `create`, its old name): make an instance and wait until it can be used."""

from __future__ import annotations

from multipassd.call import Call
from multipassd.daemon import Daemon
from multipassd.images.image import Progress
from multipassd.instances import order
from multipassd.instances.launch import Reporter
from protocol.messages.launch import LaunchProgress, LaunchReply, LaunchRequest


async def run(call: Call[LaunchRequest], daemon: Daemon) -> None:
    asked = order.read(call.request, daemon.instances.taken())
    report = Reporter(
        step=lambda text: call.reply(LaunchReply(create_message=text)),
        progress=lambda kind, percent: call.reply(_progress(kind, percent)),
        message=lambda text: call.reply(LaunchReply(reply_message=text)),
    )
    instance = await daemon.launcher.launch(asked, report)
    call.reply(LaunchReply(vm_instance_name=instance.name))


def _progress(kind: Progress, percent: int) -> LaunchReply:
    progress = LaunchProgress(type=int(kind), percent_complete=str(percent))
    return LaunchReply(launch_progress=progress)
