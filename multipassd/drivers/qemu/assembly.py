"""Assembly of QEMU's driver: QEMU in systemd units, or as processes of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from multipassd.drivers import machine_files
from multipassd.drivers.backend import Backend, Surroundings
from multipassd.drivers.interface import Driver
from multipassd.drivers.qemu import power_button, unit_runner
from multipassd.drivers.qemu.command_line import STOPPER
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.runner import Runner
from multipassd.drivers.qemu.unit_runner import UnitRunner

ACCELERATOR = "MULTIPASS_ACCELERATOR"  # "kvm" or "tcg", where the administrator knows better


def _make(around: Surroundings) -> Driver:
    runner = _runner(around.environ, around.storage)
    place = around.storage / machine_files.MACHINES["qemu"]
    return QemuDriver(runner, place, around.environ.get(ACCELERATOR, ""))


async def _power_down(environ: Mapping[str, str], storage: Path, seconds: float) -> None:
    runner = _detached(storage)

    async def end(name: str) -> None:
        path = runner.runtime(name) / STOPPER
        await asyncio.to_thread(power_button.power_down, str(path), seconds)
        await runner.clear(name)

    await asyncio.gather(*(end(name) for name in runner.names()))


def _runner(environ: Mapping[str, str], storage: Path) -> Runner:
    """Units where the package has set them up."""
    if socket := environ.get(unit_runner.SOCKET):
        return UnitRunner(socket, storage)
    return _detached(storage)


def _detached(storage: Path) -> DetachedRunner:
    return DetachedRunner(storage / "run", storage / "machines", storage / "images")


BACKEND = Backend(_make, _power_down)
