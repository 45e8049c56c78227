"""`multipass mount`: mount a directory of this host in instances."""

from __future__ import annotations

import os

from client import mount_messages, rpc_progress
from client.arguments import mounts
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from protocol.messages.mounts import MountMaps, MountReply, MountRequest

KINDS = {
    "classic": MountRequest.MountType.CLASSIC,
    "native": MountRequest.MountType.NATIVE,
}


def run(session: Session) -> int:
    rpc_progress.follow(session, "mount", _request(session), MountReply, "")
    return SUCCESS


def _request(session: Session) -> MountRequest:
    """Raises UsageError, CommandFailed before anything is sent."""
    line = session.line
    if len(line.positionals) < 2:
        raise UsageError(mount_messages.NOT_ENOUGH)
    source, *words = line.positionals
    mounts.check_reach(session)
    mounts.check_source(source)
    targets = [mounts.target(word) for word in words]
    for each in targets:
        each.target_path = each.target_path or mounts.default_target(source)
    maps = MountMaps(
        uid_mappings=mounts.id_maps("UID", line.values.get("uid-map", ()), os.getuid()),
        gid_mappings=mounts.id_maps("GID", line.values.get("gid-map", ()), os.getgid()),
    )
    kind = line.value("type", "classic")
    if kind.lower() not in KINDS:
        raise UsageError(mount_messages.bad_type(kind))
    return MountRequest(
        # Without symbolic links: the service follows none, which could lead elsewhere later on.
        source_path=os.path.realpath(source),
        target_paths=targets,
        mount_maps=maps,
        mount_type=int(KINDS[kind.lower()]),
        verbosity_level=session.verbosity,
    )


COMMAND = Command(
    "mount",
    "Let instances use a directory of this host, with what its caller may read and\n"
    "write there. It is mounted again whenever they start, until `umount`.",
    run,
    options=(
        Option(
            ("g", "gid-map"),
            "A group id of this host and the one that stands for it in the instance; may be "
            "repeated. Default: the group of who calls, and the login user's",
            "host>:<instance",
        ),
        Option(
            ("u", "uid-map"),
            "A user id of this host and the one that stands for it in the instance; may be "
            "repeated. Default: the user who calls, and the login user",
            "host>:<instance",
        ),
        Option(
            ("t", "type"),
            "classic (default): by sshfs in the instance. native: by virtiofs, which is faster; "
            "the instance must be stopped",
            "type",
        ),
    ),
    syntax="<source> <target> [<target> ...]",
    arguments=(
        Argument("source", "The directory of this host"),
        Argument(
            "target",
            "Where it is mounted, as <instance>[:<path>]. A relative path is below the login "
            "user's home; without a path, it is there under its own name",
        ),
    ),
)
