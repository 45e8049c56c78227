"""The seed of a machine on the cluster: kept on this host as a disk, as on each driver, and brought
into the machine while it does not run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from multipassd.cloudinit import seed as seed_disk
from multipassd.drivers import machine_files
from multipassd.drivers.incus import requests
from multipassd.drivers.incus.api.client import Api, name_in_path
from multipassd.drivers.incus.cluster.entry import VIRTUAL_MACHINE
from multipassd.drivers.interface import Machine

FILE_MODE, DIRECTORY_MODE = 0o600, 0o755  # it may hold its user's secrets


def path(machine: Machine) -> Path:
    """Of the disk on this host."""
    return machine.directory / machine_files.SEED


async def push(api: Api, machine: Machine, kind: str) -> None:
    """Raises IncusError, OSError."""
    files = await asyncio.to_thread(seed_disk.read, path(machine))
    if kind == VIRTUAL_MACHINE:
        config = requests.seed_config(files)
        instance = f"/1.0/instances/{name_in_path(machine.name)}"
        what = f"write the seed of {machine.name}"
        await api.operate("PATCH", instance, {"config": config}, seconds=60.0, what=what)
        return
    directory = Path(requests.SEED_PLACE)
    for place in (directory.parent.parent, directory.parent, directory):
        await api.push_file(machine.name, str(place), mode=DIRECTORY_MODE, directory=True)
    await asyncio.gather(
        *(
            api.push_file(machine.name, name, data, mode=FILE_MODE)
            for name, data in requests.seed_files(files).items()
        )
    )
