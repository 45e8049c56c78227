"""The cluster's members: do they run, can they make instances as they are asked for, and is there
room on the storage pool?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from multipassd.drivers.finding import Finding, fine, note, problem
from multipassd.drivers.incus.api.errors import IncusError, NotFound, shown
from multipassd.drivers.incus.inspection.calls import CALL_SECONDS, ask, environment, mapping
from protocol import settings as names
from protocol.sizes import human

if TYPE_CHECKING:
    from multipassd.drivers.incus.api.client import Api

ONLINE, EVACUATED = "Online", "Evacuated"  # Incus' own words
VIRTUAL_MACHINE, QEMU = "virtual-machine", "qemu"
AT_ONCE = 8  # members that are asked
USUAL_POOL = "default"  # as `incus admin init` names it
CREATED = "Created"
LEAST_ROOM = 512 << 20  # bytes: the smallest disk of an instance
SCARCE = 10  # percent of a pool

Setting = Callable[[str], str]
Result = TypeVar("Result")


async def look(api: Api, setting: Setting, found: list[Finding]) -> int:
    """How many members there are; one for a server that is no cluster. Raises IncusError."""
    members = await api.members(seconds=CALL_SECONDS)
    found += [finding for each in members if (finding := _member(each))]
    online = [_name(each) for each in members if each.get("status") == ONLINE]
    if online and len(online) == len(members):
        found.append(fine(f"the cluster's members are online: {', '.join(online)}"))
    found += _target(setting(names.INCUS_TARGET), [_name(each) for each in members], online)
    asked = online if members else [""]  # a server that is no cluster has no name to ask for
    if setting(names.INCUS_TYPE) == VIRTUAL_MACHINE:
        found += await _without_kvm(api, asked)
    found += await _pool(api, setting(names.INCUS_POOL), asked)
    return len(members) or 1


def _name(member: Mapping[str, Any]) -> str:
    return shown(member.get("server_name"), 64)


def _member(member: Mapping[str, Any]) -> Finding | None:
    name, status = _name(member), shown(member.get("status"), 40)
    if status == ONLINE:
        return None
    if status == EVACUATED:
        return note(
            f"the member {name} is evacuated: nothing is launched there until "
            f"`incus cluster restore {name}`"
        )
    why = shown(member.get("message"))
    return problem(
        f"the member {name} is {status.lower()}: {why}",
        "on its host `systemctl status incus`; on another member `incus cluster list`",
    )


def _target(named: str, members: Sequence[str], online: Sequence[str]) -> list[Finding]:
    if not named or named in online or named.startswith("@"):
        return []
    what = f"local.incus.target names {named}, and "
    what += "that is not online" if named in members else "the cluster has no such member"
    return [problem(what, "`multipass set local.incus.target=`, with another or with none")]


async def _without_kvm(api: Api, members: Sequence[str]) -> list[Finding]:
    """Incus offers virtual machines where its packages and KVM are there."""

    async def can(member: str) -> bool:
        server = await ask(api, "/1.0", "tell about a member", **_on(member))
        return QEMU in str(environment(server).get("driver"))

    able = dict(zip(members, await _each(members, can), strict=True))
    unable = [member for member, is_able in able.items() if is_able is False]
    if not unable:
        return []
    if len(unable) == len(members):
        return [
            problem(
                "no member of the cluster can run virtual machines, as local.incus.type asks for",
                "`multipass set local.incus.type=container`; or members with /dev/kvm and Debian's "
                "package incus, beside incus-base",
            )
        ]
    return [note(f"members that can't run virtual machines: {', '.join(unable)}")]


async def _pool(api: Api, named: str, members: Sequence[str]) -> list[Finding]:
    name = named or USUAL_POOL
    path = f"/1.0/storage-pools/{quote(name, safe='')}"
    try:
        pool = await ask(api, path, f"find the storage pool {name}")
    except NotFound:
        by = "which local.incus.pool names" if named else "and local.incus.pool names no other"
        return [
            problem(
                f"the cluster has no storage pool {name}, {by}",
                "on a member `incus storage list`, then `multipass set local.incus.pool=`",
            )
        ]
    if pool.get("status") != CREATED:
        status = shown(pool.get("status"), 40).lower()
        return [problem(f"the storage pool {name} is {status}", f"`incus storage info {name}`")]

    async def room(member: str) -> tuple[int, int]:
        what = f"tell what is used of the storage pool {name}"
        space = mapping((await ask(api, f"{path}/resources", what, **_on(member))).get("space"))
        return int(space.get("used", 0)), int(space.get("total", 0))

    rooms = dict(zip(members, await _each(members, room), strict=True))
    known = {member: each for member, each in rooms.items() if each is not None}
    scarce = [found for member, each in known.items() if (found := _room(name, member, *each))]
    return scarce or ([fine(f"the storage pool {name} has room")] if known else [])


def _room(pool: str, member: str, used: int, total: int) -> Finding | None:
    """`total`: 0 where the pool does not tell."""
    where = f" on {member}" if member else ""
    left = total - used
    if total and left < LEAST_ROOM:
        return problem(
            f"the storage pool {pool}{where} is full: {human(max(left, 0))} of {human(total)} left",
            "`multipass purge` frees what deleted instances have; `incus storage set` or another "
            "disk makes it larger",
        )
    if total and left * 100 < total * SCARCE:
        return note(f"the storage pool {pool}{where} has {human(left)} of {human(total)} left")
    return None


def _on(member: str) -> dict[str, str]:
    return {"target": member} if member else {}


async def _each(
    members: Sequence[str], do: Callable[[str], Coroutine[Any, Any, Result]]
) -> list[Result | None]:
    """Some at a time; None for one that does not answer, which is a finding of its own."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def done(member: str) -> Result | None:
        async with turns:
            try:
                return await do(member)
            except IncusError:
                return None

    return list(await asyncio.gather(*map(done, members)))
