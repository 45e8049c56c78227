"""The parts that instances need, put together for the host that this is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multipassd import log
from multipassd.cloudinit.hostkeys import ServiceKey
from multipassd.drivers.qemu import powerdown, unit
from multipassd.drivers.qemu.command import STOPPER
from multipassd.drivers.qemu.detached import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.runner import Runner
from multipassd.drivers.qemu.unit import UnitRunner
from multipassd.images.images import Images
from multipassd.instances import earlier
from multipassd.instances.instances import Instances
from multipassd.instances.launch import Launcher
from multipassd.instances.registry import Registry
from multipassd.network import bridged, reservations
from multipassd.network.bridged import BridgedNetworking
from multipassd.network.helper import NetworkHelper
from multipassd.network.networking import Networking
from multipassd.network.user import UserNetworking
from multipassd.settings import Settings
from protocol import places

BRIDGE, USER_NETWORK = "bridge", "user"  # what `multipassd --network` takes

# Why instances have no addresses, and what to do.
CHOSEN = "multipassd was started with --network=user. With --network=bridge they have."
IN_SNAP = "the snap has no right to make a bridge. The deb's service has."
BY_HAND = (
    "multipassd was started by hand, and touches nothing of the host's network unasked. With "
    "`--network=bridge` it makes a bridge for them: stop them, restart it so, and start them again."
)
NOT_ROOT = (
    "multipassd does not run as root, who alone may make a bridge for them. As root, "
    "`multipassd --network=bridge` does so."
)

ACCELERATOR = "MULTIPASS_ACCELERATOR"  # "kvm" or "tcg", where the administrator knows better

_log = log.get("instances")


@dataclass(frozen=True)
class Machines:
    instances: Instances
    images: Images
    launcher: Launcher
    ssh_key: ServiceKey
    helper: NetworkHelper | None  # to be started and stopped with the daemon

    @classmethod
    def assemble(
        cls,
        environ: Mapping[str, str],
        data: Path,
        settings: Settings,
        network: str | None = None,
    ) -> Machines:
        """`network`: "bridge" or "user", as the administrator wants it. Raises HelperError."""
        base = Path(places.machines_directory(environ))
        registry = Registry(data / "instances", base / "machines")
        runner = _runner(environ)
        driver = QemuDriver(runner, base / "machines", environ.get(ACCELERATOR, ""))
        helper = None
        if network == BRIDGE and not _served(environ, runner):
            helper = NetworkHelper(base, environ)
        networking = _networking(environ, runner, registry, helper, network)
        key = ServiceKey(data)
        instances = Instances(registry, driver, networking, key.path)
        instances.load()
        if text := earlier.told(data):
            instances.earlier = text
            _log.warning("%s", text)
        images = Images(base / "images", settings, environ)
        launcher = Launcher(instances, images, key)
        return cls(instances, images, launcher, key, helper)


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


def _served(environ: Mapping[str, str], runner: Runner) -> bool:
    """Is the network's service set up, and may QEMU's user open taps?"""
    return bool(environ.get(bridged.SOCKET)) and isinstance(runner, UnitRunner)


def _networking(
    environ: Mapping[str, str],
    runner: Runner,
    registry: Registry,
    helper: NetworkHelper | None,
    asked: str | None,
) -> Networking:
    """A bridge where there is its service, else QEMU's own."""
    if helper is not None:
        return BridgedNetworking(helper.socket, helper.directory, runner.user)
    if asked != USER_NETWORK and _served(environ, runner):
        directory = Path(environ.get(reservations.DIRECTORY, reservations.DEFAULT_DIRECTORY))
        return BridgedNetworking(Path(environ[bridged.SOCKET]), directory, runner.user)
    why = CHOSEN if asked == USER_NETWORK else _why_no_bridge(environ)
    return UserNetworking(lambda: {one.ssh_port for one in registry.all()}, why)


def _why_no_bridge(environ: Mapping[str, str]) -> str:
    if places.in_snap(environ):
        return IN_SNAP
    return BY_HAND if os.geteuid() == 0 else NOT_ROOT
