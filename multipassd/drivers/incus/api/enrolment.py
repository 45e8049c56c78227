"""The setting `local.incus.token`: joining a cluster, another one, or leaving it.

Instances that are on a cluster would be out of reach without its membership, so they hold it.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from multipassd.drivers.incus.api import joining, membership
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
            "of them by `multipass transfer`, and purge them first."
        )


async def set_token(token: str, directory: Path, project: str) -> None:
    """Join the cluster that a token is of; leave the present one if it is empty. Raises RpcError,
    and then the former membership holds."""
    if not token:
        _check_instances(directory)
        await asyncio.to_thread(membership.leave, directory)
        return
    fingerprint = joining.fingerprint_of(token)
    if (fingerprint, project) != (_present(directory), _project(directory) or project):
        _check_instances(directory)
    await joining.join(token, directory, project)


def _present(directory: Path) -> str:
    """The cluster of the membership; empty where there is none. One that is damaged may be of any:
    then the directories of certificates tell, which only joining makes."""
    try:
        found = membership.read(directory)
    except MembershipDamaged:
        return membership.only_cluster(directory)
    return found.fingerprint if found else ""


def _project(directory: Path) -> str:
    """Of the membership; empty where that is not known."""
    try:
        found = membership.read(directory)
    except MembershipDamaged:
        return ""
    return found.project if found else ""


def check_project(directory: Path, project: str) -> None:
    """Before `local.incus.project` is changed: it counts for the next join. Raises
    OnOtherCluster."""
    if _project(directory) not in ("", project):
        _check_instances(directory)


def _check_instances(directory: Path) -> None:
    count = 0
    with suppress(FileNotFoundError):
        count = sum(not name.startswith(".") for name in os.listdir(directory / INSTANCES))
    if count:
        raise OnOtherCluster(count)
