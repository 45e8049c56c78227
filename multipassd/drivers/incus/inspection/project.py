"""The project: does it let this service do what instances need, and no more, and is there room?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from multipassd.drivers.finding import Finding, fine, note, problem
from multipassd.drivers.incus.api.errors import NotFound, Refused
from multipassd.drivers.incus.inspection.calls import ask, mapping

if TYPE_CHECKING:
    from multipassd.drivers.incus.api.client import Api

TRUE, ALLOW = "true", "allow"
ROOMS = ("instances", "containers", "virtual-machines", "cpu", "memory", "disk")  # of limits.*


class Right(NamedTuple):
    """What a project refuses to its clients unless its configuration says so."""

    key: str
    value: str
    lack: str  # what can't be done without it
    of_cluster: bool = False  # and on a single server there is no need of it


RIGHTS = (
    Right("restricted.snapshots", ALLOW, "no snapshot can be taken"),
    Right(
        "restricted.cluster.target", ALLOW, "`launch --target` and `move` can name no member", True
    ),
)
IMAGES = Right("features.images", TRUE, "this service may not upload an image")


async def look(api: Api, found: list[Finding]) -> bool:
    """Is there such a project? Raises IncusError."""
    name = api.membership.project
    try:
        shown = await ask(api, f"/1.0/projects/{name}", "describe the project")
    except (NotFound, Refused) as error:
        found.append(
            problem(
                f"the project {name} can't be used: {error.said}",
                f"on a member `incus project list`; `incus project create {name}` with the options "
                "that the guide to clusters names makes it",
            )
        )
        return False
    lacks = list(_lacks(name, mapping(shown.get("config")), api.membership.clustered))
    state = await ask(api, f"/1.0/projects/{name}/state", "tell what the project uses")
    lacks += _full(name, mapping(state.get("resources")))
    found += lacks or [fine(f"the project {name} has the rights that instances need")]
    return True


def _lacks(name: str, config: Mapping[str, Any], clustered: bool) -> Iterator[Finding]:
    if config.get(IMAGES.key) != IMAGES.value:
        yield _lack(name, IMAGES)
    if config.get("restricted") != TRUE:
        yield note(
            f"the project {name} is not restricted, so who gets at the key of this service can "
            "make privileged instances, and by these is root on the cluster's hosts; on a member "
            f"`incus project set {name} restricted=true` ends that"
        )
        return
    for right in RIGHTS:
        if config.get(right.key) != right.value and (clustered or not right.of_cluster):
            yield _lack(name, right)


def _lack(name: str, right: Right) -> Finding:
    what = f"the project {name} has no {right.key}={right.value}, so {right.lack}"
    return problem(what, f"on a member `incus project set {name} {right.key}={right.value}`")


def _full(name: str, resources: Mapping[str, Any]) -> Iterator[Finding]:
    """By the project's own limits."""
    for kind in ROOMS:
        room = mapping(resources.get(kind))
        limit, usage = room.get("Limit"), room.get("Usage")
        if isinstance(limit, int) and isinstance(usage, int) and 0 <= limit <= usage:
            yield problem(
                f"the project {name} is full: it uses {usage} of limits.{kind}={limit}",
                f"on a member `incus project set {name} limits.{kind}=` with more",
            )
