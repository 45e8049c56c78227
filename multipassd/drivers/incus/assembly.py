"""Assembly of the driver of an Incus cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from multipassd.drivers.backend import Backend, Surroundings
from multipassd.drivers.incus.api.errors import NO_AIOHTTP
from multipassd.drivers.interface import Driver, DriverError

DIRECTORY = "incus"  # below the data directory: the membership, and records of instances


def _make(around: Surroundings) -> Driver:
    try:
        from multipassd.drivers.incus.driver import IncusDriver
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        raise DriverError(NO_AIOHTTP) from None
    return IncusDriver(around.data / DIRECTORY, around.setting)


async def _power_down(environ: Mapping[str, str], storage: Path, seconds: float) -> None:
    return  # the cluster keeps its machines


BACKEND = Backend(_make, _power_down)
