"""The setting `local.incus.token`: joining a cluster, another one, or leaving it.

Instances that are on a cluster would be out of reach without its membership, so they hold it.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from multipassd.drivers.incus.api import joining, membership
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import IncusError
from multipassd.drivers.incus.api.membership import MembershipDamaged
from protocol.status import Status

INSTANCES = "instances"  # the directory of the records, beside the membership


class OnOtherCluster(IncusError):
    """Instances of this service are on the present cluster."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, count: int) -> None:
        super().__init__(
            f"The cluster was not changed: {count} instances of this service are on the present "
            "one, deleted ones among them, and would be out of reach. Copy what is to be kept out "
            "of them by `multipass transfer`, and purge them first. A token for another cluster is "
            "used up by that: `incus config trust list` there shows the certificate to remove."
        )


async def set_token(token: str, directory: Path, project: str) -> None:
    """Join the cluster that a token is of; leave the present one if it is empty. Raises RpcError,
    and then the former membership holds."""
    if not token:
        _check_instances(directory)
        await asyncio.to_thread(membership.leave, directory)
        return
    fingerprint, names = joining.fingerprint_of(token), _names(directory)
    same = (fingerprint, project) == _present(directory)

    async def has_instances(api: Api) -> None:
        """Is it the present cluster with another certificate? It has one after `incus cluster
        enable`, and whenever that is renewed."""
        if not same and not names <= await _own(api):
            raise OnOtherCluster(len(names))

    await joining.join(token, directory, project, has_instances)


async def _own(api: Api) -> set[str]:
    """The names of the instances that this daemon has made, in the cluster's eyes. Of one whose
    member does not answer Incus shows no tag: then the name is enough."""
    what = "list the instances of this service"
    found = set()
    for each in await api.listing("/1.0/instances", what=what, recursion=1):
        config = each.get("config")
        tag = config.get(membership.OWNER_TAG) if isinstance(config, dict) else None
        if config is None or tag == api.membership.daemon:
            found.add(str(each.get("name")))
    return found


def _present(directory: Path) -> tuple[str, str]:
    """Fingerprint and project of the membership; empty where there is none, or not known."""
    try:
        found = membership.read(directory)
    except MembershipDamaged:
        return "", ""
    return (found.fingerprint, found.project) if found else ("", "")


def check_project(directory: Path, project: str) -> None:
    """Before `local.incus.project` is changed: it counts for the next join. Raises
    OnOtherCluster."""
    if _present(directory)[1] not in ("", project):
        _check_instances(directory)


def _check_instances(directory: Path) -> None:
    if names := _names(directory):
        raise OnOtherCluster(len(names))


def _names(directory: Path) -> set[str]:
    """Of the instances that have records."""
    with suppress(FileNotFoundError):
        found = (name for name in os.listdir(directory / INSTANCES) if not name.startswith("."))
        return {name.removesuffix(".json") for name in found}
    return set()
