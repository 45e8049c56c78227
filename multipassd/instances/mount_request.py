"""The request of `mount`, checked as far as that needs no instance. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from posixpath import normpath

from multipassd.auth.peer import Credentials
from multipassd.instances.attachments.mount_targets import LONGEST
from multipassd.instances.records.record import LOGIN_USER, IdPair, Mount, MountKind
from protocol.errors import RpcError
from protocol.messages.mounts import IdMap, MountMaps, MountRequest
from protocol.status import Status

MOST_PAIRS = 256  # of one map: each has a place in the server's table
MOST_TARGETS = 256  # of one request

KINDS = {
    MountRequest.MountType.CLASSIC: MountKind.CLASSIC,
    MountRequest.MountType.NATIVE: MountKind.NATIVE,
}


class InvalidMount(RpcError):
    """The request can't be carried out for any instance."""

    status = Status.INVALID_ARGUMENT


def read(request: MountRequest, caller: Credentials | None) -> Mount:
    """What is to be mounted, with an empty target. `caller`: None over TCP. Raises InvalidMount."""
    if caller is None:
        raise InvalidMount(
            "What is mounted are directories of the service's host, with the rights of the user "
            "there who asks for it; over TCP it is not known who that is. Copy the files by "
            "`multipass transfer -r`, or mount on that host, over the service's socket."
        )
    maps = request.mount_maps or MountMaps()
    uids = _pairs(maps.uid_mappings) or (IdPair(host=caller.uid, guest=LOGIN_USER),)
    gids = _pairs(maps.gid_mappings) or (IdPair(host=caller.gid, guest=LOGIN_USER),)
    _check_one_to_one(uids, gids)
    if len(request.target_paths) > MOST_TARGETS:
        raise InvalidMount(f"At most {MOST_TARGETS} targets can be named at once.")
    if request.mount_type not in set(KINDS):
        raise InvalidMount(f"There is no mount of type {request.mount_type}.")
    return Mount(
        source=_source(request.source_path),
        target="",
        uids=uids,
        gids=gids,
        kind=KINDS[MountRequest.MountType(request.mount_type)],
        uid=caller.uid,
        gid=caller.gid,
    )


def _source(path: str) -> str:
    """In one spelling. Raises InvalidMount."""
    if not path.startswith("/"):
        raise InvalidMount(f'Source path "{_shown(path)}" is not absolute')
    if not path.isprintable():  # it is shown to other users
        raise InvalidMount(f'Source path "{_shown(path)}" has characters that can\'t be shown')
    if len(path.encode("utf-8", "surrogateescape")) > LONGEST:
        raise InvalidMount(f"The source path is longer than {LONGEST} bytes")
    return normpath("/" + path.lstrip("/"))


def _shown(path: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in path[:LONGEST])


def _pairs(maps: Sequence[IdMap]) -> tuple[IdPair, ...]:
    """Raises InvalidMount."""
    if len(maps) > MOST_PAIRS:
        raise InvalidMount(f"At most {MOST_PAIRS} pairs of ids can be given for a mount.")
    for each in maps:
        if each.host_id < 0 or each.instance_id < LOGIN_USER:
            wrong = each.host_id if each.host_id < 0 else each.instance_id
            raise InvalidMount(f"{wrong} is an invalid id")
    return tuple(IdPair(host=each.host_id, guest=each.instance_id) for each in maps)


def _check_one_to_one(uids: Sequence[IdPair], gids: Sequence[IdPair]) -> None:
    """Raises InvalidMount, with the pairs of each map that is ambiguous."""
    lines = [
        f"{which}: {', '.join(map(_written, wrong))}"
        for which, pairs in (("uids", uids), ("gids", gids))
        if (wrong := _ambiguous(pairs))
    ]
    if lines:
        raise InvalidMount("\n".join(["Mount cannot apply mapping with duplicate ids:", *lines]))


def _ambiguous(pairs: Sequence[IdPair]) -> list[IdPair]:
    """The pairs that share an id with another one."""
    hosts, guests = [each.host for each in pairs], [each.guest for each in pairs]
    return [each for each in pairs if hosts.count(each.host) > 1 or guests.count(each.guest) > 1]


def _written(pair: IdPair) -> str:
    return f"{pair.host}:{'default' if pair.guest == LOGIN_USER else pair.guest}"
