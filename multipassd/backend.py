"""The parts that instances need, put together for the host that this is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multipassd.cloudinit.logins import Logins
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.drivers.interface import Backend, Driver
from multipassd.drivers.qemu import assembly as qemu
from multipassd.images.library import Images
from multipassd.instances.collection import Instances
from multipassd.instances.exporting.importer import Importer
from multipassd.instances.launching.launcher import Launcher
from multipassd.instances.mount_switch import MountSwitch
from multipassd.instances.records import earlier_installation
from multipassd.instances.records.registry import Registry
from multipassd.mounts import client as mounts
from multipassd.mounts.client import MountServers
from multipassd.network import bridge_client, reservations
from multipassd.network.bridge_client import BridgedNetworking
from multipassd.network.closing import Closing
from multipassd.network.helper_process import NetworkHelper
from multipassd.network.interface import Networking
from multipassd.network.user_mode import UserNetworking
from multipassd.settings.settings import Settings
from multipassd.system import log
from multipassd.system.installation import Installation
from protocol import settings as names

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

# By their names in the setting `local.driver`. What is in `settings/values.py` can be set.
DRIVERS: Mapping[str, Backend] = {"qemu": qemu.BACKEND}

_log = log.get("instances")


@dataclass(frozen=True)
class Machines:
    """What the daemon needs to run instances."""

    instances: Instances
    images: Images
    launcher: Launcher
    importer: Importer
    mount_switch: MountSwitch
    ssh_key: ServiceKey
    ssh_authority: SshAuthority
    logins: Logins
    helper: NetworkHelper | None  # to be started and stopped with the daemon
    closing: Closing

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
        driver = driver_of(environ, base, settings)
        helper = None
        if network == BRIDGE and not _network_service(environ, driver):
            helper = NetworkHelper(base, environ)
        networking = _networking(environ, driver, registry, helper, network)
        key = ServiceKey(data)
        servers = MountServers(base, key.path, environ.get(mounts.SOCKET, ""))
        servers.enabled = lambda: settings.get(names.PRIVILEGED_MOUNTS) == "true"
        authority = SshAuthority(data)
        logins = Logins(key, authority, settings.shared_ssh_key)
        instances = Instances(registry, driver, networking, key.path, servers, logins)
        instances.load()
        if text := earlier_installation.warning(data, registry.mac_addresses()):
            instances.earlier = text
            _log.warning("%s", text)
        images = Images(base / "images", settings, environ)
        launcher = Launcher(instances, images, key, authority, logins.shared)
        importer = Importer(instances, images, launcher, key, authority)
        switch = MountSwitch(instances, servers.enabled)
        service = environ.get(bridge_client.SOCKET)
        socket = helper.socket if helper else Path(service) if service else None
        closing = Closing(socket, base)
        return cls(
            instances, images, launcher, importer, switch, key, authority, logins, helper, closing
        )


def driver_of(environ: Mapping[str, str], storage: Path, settings: Settings) -> Driver:
    """The driver that `local.driver` names."""
    return DRIVERS[settings.get(names.DRIVER)].make(environ, storage)


async def power_down(environ: Mapping[str, str], seconds: float) -> None:
    """End all machines that no service manager ends, by their power buttons if `seconds` are
    enough. For when the daemon does not run and is not to come back. Never fails."""
    storage = Path(Installation.of(environ).storage)
    await asyncio.gather(*(each.power_down(environ, storage, seconds) for each in DRIVERS.values()))


def _network_service(environ: Mapping[str, str], driver: Driver) -> bool:
    """Is the network's service set up, and may the machines use its taps?"""
    return bool(environ.get(bridge_client.SOCKET)) and driver.opens_service_taps


def _networking(
    environ: Mapping[str, str],
    driver: Driver,
    registry: Registry,
    helper: NetworkHelper | None,
    asked: str | None,
) -> Networking:
    """A bridge where there is its service, else QEMU's own."""
    if helper is not None:
        return BridgedNetworking(helper.socket, helper.directory, driver.user)
    if asked != USER_NETWORK and _network_service(environ, driver):
        directory = Path(environ.get(reservations.DIRECTORY, reservations.DEFAULT_DIRECTORY))
        return BridgedNetworking(Path(environ[bridge_client.SOCKET]), directory, driver.user)
    why = CHOSEN if asked == USER_NETWORK else _why_no_bridge(environ)
    return UserNetworking(lambda: {each.ssh_port for each in registry.all()}, why)


def _why_no_bridge(environ: Mapping[str, str]) -> str:
    if Installation.of(environ).confined:
        return IN_SNAP
    return BY_HAND if os.geteuid() == 0 else NOT_ROOT
