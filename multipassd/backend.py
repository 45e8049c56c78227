"""The parts that instances need, put together for the host that this is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from multipassd.drivers import machine_files
from multipassd.drivers.qemu.shared_names import RUNTIME, UNIT_PREFIX
from multipassd.network import state_directory
from multipassd.settings.settings import Settings
from multipassd.system import log
from multipassd.system.installation import Installation
from protocol import settings as names
from protocol.errors import RpcError
from protocol.status import Status

if TYPE_CHECKING:
    from multipassd.cloudinit.logins import Logins
    from multipassd.cloudinit.ssh_authority import SshAuthority
    from multipassd.cloudinit.ssh_keys import ServiceKey
    from multipassd.drivers.backend import Backend
    from multipassd.drivers.finding import Finding
    from multipassd.drivers.interface import Driver
    from multipassd.images.image import Kind
    from multipassd.images.library import Images
    from multipassd.instances.cloning.cloner import Cloner
    from multipassd.instances.collection import Instances
    from multipassd.instances.exporting.importer import Importer
    from multipassd.instances.launching.launcher import Launcher
    from multipassd.instances.mount_switch import MountSwitch
    from multipassd.instances.records.registry import Registry
    from multipassd.instances.sharing.sharing import Sharing
    from multipassd.mounts.client import MountServers
    from multipassd.network.closing import Closing
    from multipassd.network.helper_process import NetworkHelper
    from multipassd.network.interface import Networking

INCUS = "incus"  # the driver, and below the data directory what is kept of its cluster
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


def _qemu() -> Backend:
    from multipassd.drivers.qemu.assembly import BACKEND

    return BACKEND


def _incus() -> Backend:
    from multipassd.drivers.incus.assembly import BACKEND

    return BACKEND


def _may_run_qemu(storage: Path) -> bool:
    """By the directories of machines without units, and of units."""
    detached, units = _listed(str(storage / "run")), _listed(RUNTIME)
    return bool(detached) or any(name.startswith(UNIT_PREFIX) for name in units)


# By their names in the setting `local.driver`. What is in `settings/values.py` can be set.
QEMU = "qemu"
DRIVERS: Mapping[str, Callable[[], Backend]] = {QEMU: _qemu, "incus": _incus}
# For each of them: may machines run with this storage? Asked without the driver.
HAVE_MACHINES: Mapping[str, Callable[[Path], bool]] = {
    "qemu": _may_run_qemu,
    "incus": lambda storage: False,  # what has no record on a cluster is none of this service's
}

# The parts of `Machines` that another driver has others of.
OF_DRIVER = (
    "_driver_name", "driver", "networking", "servers", "registry", "instances", "launcher",
    "importer", "cloner", "mount_switch", "sharing",
)  # fmt: skip

_log = log.get("instances")


class DriverBusy(RpcError):
    """Instances run, which another driver would know nothing of."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, driver: str) -> None:
        super().__init__(
            f"local.driver was not changed: instances of {driver} run or are being made. "
            "`multipass stop --all` stops them; they are there again when that driver is."
        )


class Machines:
    """What the daemon needs to run instances. Each part is loaded when it is first asked for, as
    most calls need few of them: see `late_code.py`."""

    def __init__(
        self,
        environ: Mapping[str, str],
        data: Path,
        settings: Settings,
        network: str | None = None,
    ) -> None:
        """`network`: "bridge" or "user", as the administrator wants it. Raises HelperError."""
        self._environ = environ
        self._data = data
        self._settings = settings
        self._network = network
        self._base = Path(Installation.of(environ).storage)
        self._joining = asyncio.Lock()
        # To be started and stopped with the daemon.
        self.helper: NetworkHelper | None = self._own_helper() if network == BRIDGE else None

    def _own_helper(self) -> NetworkHelper | None:
        """Raises HelperError."""
        from multipassd.network.helper_process import NetworkHelper

        return None if self._network_service else NetworkHelper(self._base, self._environ)

    @property
    def _network_service(self) -> bool:
        """Is the network's service set up, and may the machines use its taps?"""
        from multipassd.network import bridge_client

        return bool(self._environ.get(bridge_client.SOCKET)) and self.driver.opens_service_taps

    # -- what instances are made with (`instances/site.py`) ---------------------------------------

    @cached_property
    def driver(self) -> Driver:
        return self._make(self._driver_name)

    def _make(self, driver: str) -> Driver:
        """Raises DriverError where this host lacks what it needs."""
        from multipassd.drivers.backend import Surroundings

        around = Surroundings(self._environ, self._base, self._data, self._settings.get)
        return DRIVERS[driver]().make(around)

    @cached_property
    def _driver_name(self) -> str:
        """As of the start or of `take_driver`; a line that is edited counts from the next start."""
        return self._settings.get(names.DRIVER)

    def load_driver(self) -> None:
        """The beginning of its code, so that `LateCode.load_rest` loads all of it."""
        DRIVERS[self._driver_name]()

    def check_driver(self, driver: str) -> None:
        """Before `local.driver` is changed. Raises DriverBusy, DriverError."""
        if driver in DRIVERS and driver != self._driver_name:
            if self.instances.busy:
                raise DriverBusy(self._driver_name)
            self._make(driver)

    async def take_driver(self) -> None:
        """Serve the instances of the driver that `local.driver` names by now."""
        if self._settings.get(names.DRIVER) == self._driver_name or self.instances.busy:
            return
        self.instances.close()
        for part in OF_DRIVER:
            self.__dict__.pop(part, None)
        await self.instances.resume()

    @property
    def has_traces(self) -> bool:
        """May there be machines, or something of the network, that no instance's record knows?"""
        if self.helper is not None:
            return True
        may_run = HAVE_MACHINES[self._driver_name]
        try:
            return bool(_listed(state_directory.of(self._environ))) or may_run(self._base)
        except OSError:  # there is what can't be listed
            return True

    @cached_property
    def networking(self) -> Networking:
        """The driver's own; else a bridge where there is its service, else QEMU's."""
        if (own := self.driver.network) is not None:
            from multipassd.network.of_driver import DriverNetworking

            return DriverNetworking(own)
        from multipassd.network.bridge_client import SOCKET, BridgedNetworking
        from multipassd.network.user_mode import UserNetworking

        environ, asked = self._environ, self._network
        if self.helper is not None:
            return BridgedNetworking(self.helper.socket, self.helper.directory, self.driver.user)
        if asked != USER_NETWORK and self._network_service:
            directory = Path(state_directory.of(environ))
            return BridgedNetworking(Path(environ[SOCKET]), directory, self.driver.user)
        why = CHOSEN if asked == USER_NETWORK else _why_no_bridge(environ)
        return UserNetworking(lambda: {each.ssh_port for each in self.registry.all()}, why)

    @cached_property
    def servers(self) -> MountServers:
        from multipassd.mounts import client

        socket = self._environ.get(client.SOCKET, "")
        servers = client.MountServers(self._base, self.key_path, socket)
        servers.enabled = self._serves_mounts
        return servers

    @property
    def key_path(self) -> Path:
        return self.ssh_key.path

    @cached_property
    def logins(self) -> Logins:
        from multipassd.cloudinit.logins import Logins

        return Logins(self.ssh_key, self.ssh_authority, self._settings.shared_ssh_key)

    # -- the cluster ------------------------------------------------------------------------------

    @property
    def in_cluster(self) -> bool:
        """Is this a client of an Incus cluster, whether it is used or not?"""
        return os.path.lexists(self._cluster / "membership.json")

    async def join_cluster(self, token: str) -> None:
        """The setting `local.incus.token`. Raises RpcError; then the former membership holds."""
        try:
            from multipassd.drivers.incus.api import enrolment
        except ModuleNotFoundError as error:
            if error.name != "aiohttp":
                raise
            from multipassd.drivers.incus.api.errors import NO_AIOHTTP, IncusError

            raise IncusError(NO_AIOHTTP) from None
        async with self._joining:
            await enrolment.set_token(token, self._cluster, self._settings.get(names.INCUS_PROJECT))

    @property
    def _cluster(self) -> Path:
        return self._data / INCUS

    # -- parts ------------------------------------------------------------------------------------

    @cached_property
    def registry(self) -> Registry:
        return self._registry_of(self._driver_name)

    def _registry_of(self, driver: str) -> Registry:
        from multipassd.instances.records.registry import Registry

        records = self._data / machine_files.RECORDS[driver]
        return Registry(records, self._base / machine_files.MACHINES[driver])

    @cached_property
    def instances(self) -> Instances:
        from multipassd.instances.collection import Instances
        from multipassd.instances.records import earlier_installation

        instances = Instances(self.registry, self)
        instances.load()
        if text := earlier_installation.warning(self._data, self.registry.mac_addresses()):
            instances.earlier = text
            _log.warning("%s", text)
        return instances

    @cached_property
    def ssh_key(self) -> ServiceKey:
        from multipassd.cloudinit.ssh_keys import ServiceKey

        return ServiceKey(self._data)

    @cached_property
    def ssh_authority(self) -> SshAuthority:
        from multipassd.cloudinit.ssh_authority import SshAuthority

        return SshAuthority(self._data)

    @cached_property
    def images(self) -> Images:
        from multipassd.images.library import Images

        return Images(self._image_cache, self._settings, self._environ)

    async def prune_images(self) -> None:
        """Remove those that were not used for weeks, where there is any."""
        cache = str(self._image_cache)
        with suppress(OSError):
            if _listed(cache):
                in_use = await asyncio.to_thread(self._images_in_use)
                if in_use is not None:  # else a disk may stand on any of them
                    await self.images.prune(in_use)
            if self._driver_name != QEMU:  # whose code need not be loaded for nothing
                await self.driver.prune_images(_listed(cache))

    def _images_in_use(self) -> set[str] | None:
        """By the instances of all drivers, also of those that are not chosen now. None while that
        is not known of each."""
        found: set[str] = set()
        for driver in machine_files.RECORDS:
            registry = self.registry
            if driver != self._driver_name:
                registry = self._registry_of(driver)
                registry.read()
            in_use = registry.images()
            if in_use is None:
                return None
            found |= in_use
        return found

    @property
    def image_kind(self) -> Kind:
        """Of what `find` lists, known of QEMU without its code."""
        return "disk" if self._driver_name == QEMU else self.driver.image_kind

    @property
    def _image_cache(self) -> Path:
        return self._base / "images"

    @cached_property
    def launcher(self) -> Launcher:
        from multipassd.instances.launching.launcher import Launcher

        shared = self.logins.shared
        return Launcher(self.instances, self.images, self.ssh_key, self.ssh_authority, shared)

    @cached_property
    def importer(self) -> Importer:
        from multipassd.instances.exporting.importer import Importer

        launcher = self.launcher
        return Importer(self.instances, self.images, launcher, self.ssh_key, self.ssh_authority)

    @cached_property
    def cloner(self) -> Cloner:
        from multipassd.instances.cloning.cloner import Cloner

        return Cloner(self.instances, self.ssh_authority)

    @cached_property
    def sharing(self) -> Sharing | None:
        """None where the driver shares nothing with other services."""
        if (machines := self.driver.sharing) is None:
            return None
        from multipassd.instances.sharing.sharing import Sharing

        self.instances.follow()
        return Sharing(self.instances, machines, self.ssh_authority)

    def share(self) -> None:
        """To be called every second or so. Nothing is loaded for it where none is wanted."""
        wanted = self._settings.get(names.INCUS_SHARED) == "true" and self._driver_name != QEMU
        if wanted or "driver" in self.__dict__:
            if self.sharing is not None:
                self.sharing.look()

    @cached_property
    def mount_switch(self) -> MountSwitch:
        from multipassd.instances.mount_switch import MountSwitch

        return MountSwitch(self.instances, self._serves_mounts)

    @cached_property
    def closing(self) -> Closing:
        from multipassd.network import bridge_client
        from multipassd.network.closing import Closing

        service = self._environ.get(bridge_client.SOCKET)
        socket = self.helper.socket if self.helper else Path(service) if service else None
        return Closing(socket, self._base)

    def _serves_mounts(self) -> bool:
        return self._settings.get(names.PRIVILEGED_MOUNTS) == "true"


async def inspect(driver: str, data: Path, setting: Callable[[str], str]) -> Sequence[Finding]:
    """What the driver finds of what it needs besides this host, for who administrates that."""
    if driver != INCUS:
        return ()
    from multipassd.drivers.incus.inspection import cluster

    return await cluster.inspect(data / INCUS, setting)


async def power_down(environ: Mapping[str, str], seconds: float) -> None:
    """End all machines that no service manager ends, by their power buttons if `seconds` are
    enough. For when the daemon does not run and is not to come back. Never fails."""
    storage = Path(Installation.of(environ).storage)
    backends = [load() for load in DRIVERS.values()]
    await asyncio.gather(*(each.power_down(environ, storage, seconds) for each in backends))


def _listed(directory: str) -> list[str]:
    """Nothing where it does not exist. Raises OSError."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.listdir(directory)
    return []


def _why_no_bridge(environ: Mapping[str, str]) -> str:
    if Installation.of(environ).confined:
        return IN_SNAP
    return BY_HAND if os.geteuid() == 0 else NOT_ROOT
