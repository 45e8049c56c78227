"""The parts that instances need, put together for the host that this is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multipassd.cloudinit.hostkeys import ServiceKey
from multipassd.drivers.qemu import unit
from multipassd.drivers.qemu.detached import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.runner import USER, Runner
from multipassd.drivers.qemu.unit import UnitRunner
from multipassd.images.images import Images
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
        runner = _runner(environ, base)
        driver = QemuDriver(runner, base / "machines", environ.get(ACCELERATOR, ""))
        networking = _networking(environ, runner, registry)
        key = ServiceKey(data)
        instances = Instances(registry, driver, networking, key.path)
        instances.load()
        images = Images(base / "images", settings, environ)
        launcher = Launcher(instances, images, key)
        return cls(instances, images, launcher, key)


def _runner(environ: Mapping[str, str], base: Path) -> Runner:
    """Units where the package has set them up, else processes of our own."""
    if socket := environ.get(unit.SOCKET):
        return UnitRunner(socket)
    return DetachedRunner(base / "run", base / "machines", base / "images")


def _networking(environ: Mapping[str, str], runner: Runner, registry: Registry) -> Networking:
    """A bridge where its service is set up and QEMU's user may open taps, else QEMU's own."""
    if environ.get(bridged.SOCKET) and isinstance(runner, UnitRunner):
        return BridgedNetworking(environ, USER)
    return UserNetworking(lambda: {one.ssh_port for one in registry.all()})
