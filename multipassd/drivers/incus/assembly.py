"""Assembly of the driver of an Incus cluster."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from multipassd.drivers.absent import absent
from multipassd.drivers.backend import Backend, Surroundings
from multipassd.drivers.incus.api.errors import NO_AIOHTTP
from multipassd.drivers.interface import Driver

DIRECTORY = "incus"  # below the data directory: the membership, and records of instances


def _make(around: Surroundings) -> Driver:
    if why := _missing():
        return absent(why)
    from multipassd.drivers.incus.driver import IncusDriver

    return IncusDriver(around.data / DIRECTORY, around.setting)


def _missing() -> str:
    return "" if importlib.util.find_spec("aiohttp") else NO_AIOHTTP


async def _power_down(environ: Mapping[str, str], storage: Path, seconds: float) -> None:
    return  # the cluster keeps its machines


BACKEND = Backend(_make, _power_down, _missing)
