"""The parts that instances need, put together for the host that this is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.drivers.qemu import unit_runner
from multipassd.drivers.qemu.command_line import STOPPER
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.helper import power_down as helper_power_down
from multipassd.drivers.qemu.runner import Runner
from multipassd.drivers.qemu.unit_runner import UnitRunner
from multipassd.images.library import Images
from multipassd.instances.collection import Instances
from multipassd.instances.launching.launcher import Launcher
from multipassd.instances.records import earlier_installation
from multipassd.instances.records.registry import Registry
from multipassd.network import bridge_client, reservations
from multipassd.network.bridge_client import BridgedNetworking
from multipassd.network.helper_process import NetworkHelper
from multipassd.network.interface import Networking
from multipassd.network.user_mode import UserNetworking
from multipassd.settings import Settings
from multipassd.system import log
from multipassd.system.installation import Installation

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
    """What the daemon needs to run instances."""

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
        base = Path(Installation.of(environ).storage)
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
        if text := earlier_installation.told(data):
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
        await asyncio.to_thread(helper_power_down.power_down, str(path), seconds)
        await runner.clear(name)

    await asyncio.gather(*(end(name) for name in runner.names()))


def _runner(environ: Mapping[str, str]) -> Runner:
    """Units where the package has set them up, else processes of our own."""
    if socket := environ.get(unit_runner.SOCKET):
        return UnitRunner(socket, Path(Installation.of(environ).storage))
    return _detached(environ)


def _detached(environ: Mapping[str, str]) -> DetachedRunner:
    base = Path(Installation.of(environ).storage)
    return DetachedRunner(base / "run", base / "machines", base / "images")


def _served(environ: Mapping[str, str], runner: Runner) -> bool:
    """Is the network's service set up, and may QEMU's user open taps?"""
    return bool(environ.get(bridge_client.SOCKET)) and isinstance(runner, UnitRunner)


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
        return BridgedNetworking(Path(environ[bridge_client.SOCKET]), directory, runner.user)
    why = CHOSEN if asked == USER_NETWORK else _why_no_bridge(environ)
    return UserNetworking(lambda: {one.ssh_port for one in registry.all()}, why)


def _why_no_bridge(environ: Mapping[str, str]) -> str:
    if Installation.of(environ).confined:
        return IN_SNAP
    return BY_HAND if os.geteuid() == 0 else NOT_ROOT
