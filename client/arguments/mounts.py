"""The arguments of `mount`, `umount` and `launch --mount`: directories, targets, maps of ids."""

from __future__ import annotations

import os

from client import mount_messages
from client.arguments import numbers
from client.errors import CommandFailed, UsageError
from protocol.addresses import TcpAddress
from protocol.messages.common import TargetPathInfo
from protocol.messages.mounts import IdMap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.session import Session

LOGIN_USER = -1  # as an id in the instance: that of the user who is logged in as
TARGETS = "/home/ubuntu"  # what a mount without a target is below


def are_out_of_reach(session: Session) -> bool:
    """Whether the service can't get at this user's directories. Raises AddressError."""
    return isinstance(session.address(), TcpAddress)


def check_reach(session: Session) -> None:
    """Raises CommandFailed before anything is sent to a service that would refuse it."""
    if are_out_of_reach(session):
        raise CommandFailed(mount_messages.OVER_TCP, mount_messages.over_tcp(str(session.server())))


def check_source(path: str, what: str = "Source") -> None:
    """`what`: how the sentence begins. Raises UsageError unless this user can list it."""
    if not os.path.exists(path):
        raise UsageError(mount_messages.unusable(path, "does not exist", what))
    if not os.path.isdir(path):
        raise UsageError(mount_messages.unusable(path, "is not a directory", what))
    if not os.access(path, os.R_OK | os.X_OK):
        raise UsageError(mount_messages.unusable(path, "is not readable", what))


def default_target(source: str) -> str:
    return os.path.join(TARGETS, os.path.basename(os.path.abspath(source)))


def target(word: str) -> TargetPathInfo:
    """`<instance>[:<path>]`"""
    name, _, path = word.partition(":")
    return TargetPathInfo(instance_name=name, target_path=path)


def id_maps(which: str, given: Sequence[str], own: int) -> list[IdMap]:
    """`which`: UID or GID. Without any, `own` becomes the login user's. Raises UsageError."""
    maps = [_id_map(which, each) for each in given]
    return maps or [IdMap(host_id=own, instance_id=LOGIN_USER)]


def _id_map(which: str, given: str) -> IdMap:
    ids = given.split(":")
    if len(ids) != 2 or not all(each.isascii() and each.isdecimal() for each in ids):
        raise UsageError(mount_messages.bad_map(which, given))
    host, inside = (_id(each) for each in ids)
    return IdMap(host_id=host, instance_id=inside)


def _id(digits: str) -> int:
    number = numbers.parse(digits)
    if number is None:
        raise UsageError(mount_messages.bad_id(digits))
    return number
