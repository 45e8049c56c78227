"""`multipass umount`: unmount directories of this host from instances."""

from __future__ import annotations

from client import mount_messages, rpc
from client.arguments import mounts
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from protocol.messages.mounts import UmountReply, UmountRequest


def run(session: Session) -> int:
    words = session.line.positionals
    if not words:
        raise UsageError(mount_messages.NOT_ENOUGH)
    request = UmountRequest(
        target_paths=[mounts.target(word) for word in words], verbosity_level=session.verbosity
    )
    rpc.call(session, "umount", request, UmountReply)
    return SUCCESS


COMMAND = Command(
    "umount",
    "Take directories of this host away from instances again.",
    run,
    aliases=("unmount",),
    syntax="<mount> [<mount> ...]",
    arguments=(
        Argument(
            "mount",
            "What is unmounted, as <instance>[:<path>]; without a path, all that is mounted in the "
            "instance",
        ),
    ),
)
