"""The parts that instances need, put together for the host that this is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multipassd import log
from multipassd.cloudinit.hostkeys import ServiceKey
from multipassd.drivers.qemu import powerdown, unit
from multipassd.drivers.qemu.command import STOPPER
from multipassd.drivers.qemu.detached import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.runner import USER, Runner
from multipassd.drivers.qemu.unit import UnitRunner
from multipassd.images.images import Images
from multipassd.instances import earlier
from multipassd.instances.instances import Instances
from multipassd.instances.launch import Launcher
from multipassd.instances.registry import Registry
from multipassd.network import bridged
from multipassd.network.bridged import BridgedNetworking
from multipassd.network.networking import Networking
from multipassd.network.user import UserNetworking
from multipassd.settings import Settings
from protocol import places

ACCELERATOR = "MULTIPASS_ACCELERATOR"  # "kvm" or "tcg", where the administrator knows better

_log = log.get("instances")


@dataclass(frozen=True)
class Machines:
    instances: Instances
    images: Images
    launcher: Launcher
    ssh_key: ServiceKey

    @classmethod
    def assemble(cls, environ: Mapping[str, str], data: Path, settings: Settings) -> Machines:
        base = Path(places.machines_directory(environ))
        registry = Registry(data / "instances", base / "machines")
        runner = _runner(environ)
        driver = QemuDriver(runner, base / "machines", environ.get(ACCELERATOR, ""))
        networking = _networking(environ, runner, registry)
        key = ServiceKey(data)
        instances = Instances(registry, driver, networking, key.path)
        instances.load()
        if text := earlier.told(data):
            instances.earlier = text
            _log.warning("%s", text)
        images = Images(base / "images", settings, environ)
        launcher = Launcher(instances, images, key)
        return cls(instances, images, launcher, key)


async def power_down(environ: Mapping[str, str], seconds: float) -> None:
    """End all that run without a service manager, in order if `seconds` are enough. For when the
    daemon does not run and is not to come back. Never fails."""
    runner = _detached(environ)

    async def end(name: str) -> None:
        path = runner.runtime(name) / STOPPER
        await asyncio.to_thread(powerdown.power_down, str(path), seconds)
        await runner.clear(name)

    await asyncio.gather(*(end(name) for name in runner.names()))


def _runner(environ: Mapping[str, str]) -> Runner:
    """Units where the package has set them up, else processes of our own."""
    if socket := environ.get(unit.SOCKET):
        return UnitRunner(socket, Path(places.machines_directory(environ)))
    return _detached(environ)


def _detached(environ: Mapping[str, str]) -> DetachedRunner:
    base = Path(places.machines_directory(environ))
    return DetachedRunner(base / "run", base / "machines", base / "images")


def _networking(environ: Mapping[str, str], runner: Runner, registry: Registry) -> Networking:
    """A bridge where its service is set up and QEMU's user may open taps, else QEMU's own."""
    if environ.get(bridged.SOCKET) and isinstance(runner, UnitRunner):
        return BridgedNetworking(environ, USER)
    return UserNetworking(lambda: {one.ssh_port for one in registry.all()})
