"""The instances: does the cluster have those that this service has records of, and no others of
its own?"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from multipassd.drivers.finding import Finding, fine, note, problem
from multipassd.drivers.incus.cluster import entry as entries
from multipassd.drivers.incus.inspection.calls import CALL_SECONDS

if TYPE_CHECKING:
    from multipassd.drivers.incus.api.client import Api

MOST = 16  # that are named in one finding


async def look(api: Api, known: Collection[str], found: list[Finding]) -> None:
    """`known`: the names of this service's instances, damaged ones among them. Raises
    IncusError."""
    what = "list the project's instances"
    answer = await api.get("/1.0/instances", seconds=CALL_SECONDS, what=what, recursion=1)
    listed = map(entries.entry_of, answer if isinstance(answer, list) else ())
    there = {each.name: each for each in listed if each is not None}
    lost = sorted(set(known) - there.keys())
    ours = {name: each for name, each in there.items() if each.daemon == api.membership.daemon}
    unknown = {name: each for name, each in ours.items() if name not in known}
    strange = sorted(name for name, each in unknown.items() if not each.unused)
    begun = sorted(name for name, each in unknown.items() if each.unused)
    if lost:
        found.append(
            problem(
                f"the cluster does not have {_named(lost)} any more: another program has removed "
                "what this service has records of",
                "`multipass delete --purge`, with their names, forgets them",
            )
        )
    if strange:
        found.append(
            problem(
                f"this service has made {_named(strange)} on the cluster and has no record of that",
                "restore the records of instances from a copy; or on a member `incus delete`, with "
                f"the names and `--project {api.membership.project}`, which loses their disks",
            )
        )
    if begun:
        found.append(
            note(f"launches are making {_named(begun)} on the cluster, or were broken off there")
        )
    if known and not lost:
        found.append(fine("the cluster has each instance that this service has a record of"))


def _named(names: list[str]) -> str:
    more = len(names) - MOST
    shown = ", ".join(name for name in names[:MOST] if name.isprintable())
    return f"{shown} and {more} more" if more > 0 else shown
