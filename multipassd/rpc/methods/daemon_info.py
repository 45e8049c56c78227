"""`daemon_info`: what the host has to give: disk space for instances, processors, memory."""

import os

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.access import DaemonInfoReply, DaemonInfoRequest


async def run(call: Call[DaemonInfoRequest], daemon: Daemon) -> None:
    disk = os.statvfs(daemon.data_directory)
    call.reply(
        DaemonInfoReply(
            available_space=disk.f_bavail * disk.f_frsize,
            cpus=os.cpu_count() or 1,
            memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        )
    )
