"""Snapshots, copies and moves of machines on the cluster: operations of Incus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from multipassd.drivers.incus import requests
from multipassd.drivers.incus.api.client import Api, name_in_path
from multipassd.drivers.incus.api.errors import NotFound, Refused, bad_answer
from multipassd.drivers.incus.cluster.entry import ROOT, VIRTUAL_MACHINE
from multipassd.drivers.interface import DriverError, Machine, SnapshotMissing

# A pool without snapshots of its own (`dir`) copies the whole disk.
COPY_SECONDS = 3600.0
DROP_SECONDS = 600.0
GROW_SECONDS = 120.0
# In a restricted project Incus 6.0 restores an instance once: that changes this value, which it
# refuses to change ever after. Then the snapshot is copied over the instance.
GENERATION = "volatile.uuid.generation"


def instance(name: str) -> str:
    """Its path in the API."""
    return f"/1.0/instances/{name_in_path(name)}"


def snapshot(name: str, tag: str) -> str:
    """Its path in the API."""
    return f"{instance(name)}/snapshots/{name_in_path(tag)}"


async def take(api: Api, name: str, tag: str) -> None:
    """Without its memory. Raises IncusError."""
    body = {"name": tag, "stateful": False}
    path = f"{instance(name)}/snapshots"
    what = f"take a snapshot of {name}"
    await api.operate("POST", path, body, seconds=COPY_SECONDS, what=what)


async def restore(api: Api, name: str, tag: str) -> None:
    """Raises SnapshotMissing, IncusError."""
    found = await _require(api, name, tag)
    what = f"restore a snapshot of {name}"
    try:
        body = {"restore": tag}
        await api.operate("PUT", instance(name), body, seconds=COPY_SECONDS, what=what)
    except Refused as error:
        if GENERATION not in error.said:
            raise
        await _copy_back(api, name, tag, found, what)


async def _copy_back(api: Api, name: str, tag: str, found: Mapping[str, Any], what: str) -> None:
    """Make its disk what the snapshot `found` has."""
    now = await api.get(instance(name), what=f"look at {name}")
    body = {
        "name": name,
        "type": now["type"],
        "architecture": now["architecture"],
        "source": {
            "type": "copy", "source": f"{name}/{tag}", "refresh": True, "instance_only": True,
        },
        "config": {}, "devices": {}, "profiles": [],
    }  # fmt: skip
    where = _where(now)
    await api.operate("POST", "/1.0/instances", body, seconds=COPY_SECONDS, what=what, **where)
    root = _root(found, name)
    if root != _root(now, name):
        body = {"devices": {ROOT: root}}
        await api.operate("PATCH", instance(name), body, seconds=GROW_SECONDS, what=what)


async def drop(api: Api, name: str, tag: str) -> None:
    """Nothing to do where there is none. Raises IncusError."""
    what = f"remove a snapshot of {name}"
    try:
        await api.operate("DELETE", snapshot(name, tag), seconds=DROP_SECONDS, what=what)
    except NotFound:
        return


async def size(api: Api, name: str, tag: str) -> int:
    """Bytes. Raises SnapshotMissing, DriverError where the pool does not tell."""
    found = await _require(api, name, tag)
    taken = found.get("size")
    if not isinstance(taken, int) or taken <= 0:
        raise DriverError(f"The storage pool of {name} does not tell what a snapshot takes.")
    return taken


async def _require(api: Api, name: str, tag: str) -> dict[str, Any]:
    try:
        found = await api.get(snapshot(name, tag), what=f"look at a snapshot of {name}")
    except NotFound:
        raise SnapshotMissing(f"{name} has no snapshot {tag} on the Incus cluster.") from None
    return found if isinstance(found, dict) else {}


def _where(found: Mapping[str, Any]) -> dict[str, str]:
    """On the member that it is on, of a cluster."""
    return {} if found.get("location") in (None, "", "none") else {"target": found["location"]}


async def copy(
    api: Api,
    source: str,
    machine: Machine,
    daemon: str,
    devices: dict[str, Any],
    progress: Callable[[int], None],
) -> None:
    """`progress` is called with percents, and what it raises ends the copy. On the host that the
    source is on."""
    found = await api.get(instance(source), what=f"look at {source}")
    root = _root(found, source)
    if found.get("type") == VIRTUAL_MACHINE:
        root = requests.with_room(root, machine.memory)
    devices = {ROOT: root, **devices}
    body = requests.copy(machine, found, daemon, devices)
    target = _where(found)
    what = f"copy {source}"
    copying = asyncio.get_running_loop().create_task(
        api.operate("POST", "/1.0/instances", body, seconds=COPY_SECONDS, what=what, **target)
    )
    try:
        while not (await asyncio.wait({copying}, timeout=1.0))[0]:
            progress(0)
    except BaseException:
        copying.cancel()
        raise
    await copying


async def root_with_room(api: Api, machine: Machine) -> dict[str, str]:
    """The root device of a virtual machine, with room for the memory that it is to have. Raises
    IncusError."""
    found = await api.get(instance(machine.name), what=f"look at {machine.name}")
    return requests.with_room(_root(found, machine.name), machine.memory)


async def grow(api: Api, name: str, size: int) -> None:
    """`size`: bytes. Raises IncusError."""
    found = await api.get(instance(name), what=f"look at {name}")
    root = {**_root(found, name), "size": str(size)}
    what = f"make the disk of {name} larger"
    body = {"devices": {ROOT: root}}
    await api.operate("PATCH", instance(name), body, seconds=GROW_SECONDS, what=what)


async def move(api: Api, name: str, host: str) -> None:
    body = {"migration": True}
    what = f"move {name} to {host}"
    await api.operate("POST", instance(name), body, seconds=COPY_SECONDS, what=what, target=host)


def _root(found: Any, name: str) -> dict[str, Any]:
    """The device of its disk. Raises IncusError."""
    devices = found.get("devices") if isinstance(found, dict) else None
    root = devices.get(ROOT) if isinstance(devices, dict) else None
    if not isinstance(root, dict):
        raise bad_answer(f"look at the disk of {name}", "it has no device of that name")
    return root
