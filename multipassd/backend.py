"""The parts that instances need, put together for the host that this is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from multipassd import driver_choice
from multipassd.driver_choice import INCUS, QEMU, DriverBusy, InTheMaking, listed
from multipassd.drivers import machine_files
from multipassd.joined_cluster import JoinedCluster
from multipassd.network import state_directory
from multipassd.settings.settings import Settings
from multipassd.system import log
from multipassd.system.installation import Installation
from protocol import settings as names

if TYPE_CHECKING:
    from multipassd.cloudinit.logins import Logins
    from multipassd.cloudinit.ssh_authority import SshAuthority
    from multipassd.cloudinit.ssh_keys import ServiceKey
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

BRIDGE, USER_NETWORK = "bridge", "user"  # what `multipassd --network` takes

# The parts of `Machines` that another driver has others of.
OF_DRIVER = (
    "_driver_name", "driver", "networking", "servers", "registry", "instances", "launcher",
    "importer", "cloner", "mount_switch", "sharing",
)  # fmt: skip

_log = log.get("instances")


class Machines:
    """What the daemon needs to run instances. Each part is loaded when it is first asked for, as
    most calls need few of them: see `late_code.py`."""

    def __init__(
        self, environ: Mapping[str, str], data: Path, settings: Settings, network: str | None = None
    ) -> None:
        """`network`: "bridge" or "user", as the administrator wants it. Raises HelperError."""
        self._environ = environ
        self._data = data
        self._settings = settings
        self._network = network
        self._base = Path(Installation.of(environ).storage)
        self.cluster = JoinedCluster(data, settings)
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
        from multipassd.drivers.backend import Surroundings

        around = Surroundings(self._environ, self._base, self._data, self._settings.get)
        return driver_choice.DRIVERS[self._driver_name]().make(around)

    @cached_property
    def _driver_name(self) -> str:
        """As of the start or of `take_driver`; a line that is edited counts from the next start."""
        return self._settings.get(names.DRIVER)

    def load_driver(self) -> None:
        """The beginning of its code, so that `LateCode.load_rest` loads all of it."""
        driver_choice.DRIVERS[self._driver_name]()

    def check_driver(self, driver: str) -> None:
        """Before `local.driver` is changed. Raises DriverBusy, DriverError."""
        from multipassd.drivers.interface import DriverError

        driver = driver.lower()  # as the setting is stored
        if driver in driver_choice.DRIVERS and driver != self._driver_name:
            if self.instances.busy:
                raise DriverBusy(self._driver_name)
            if why := driver_choice.DRIVERS[driver]().missing():
                raise DriverError(why)

    def check_joining(self) -> None:
        """Before the cluster is changed. Raises InTheMaking."""
        if self._driver_name == INCUS and self.instances.preparing:
            raise InTheMaking(sorted(self.instances.preparing))

    def follow_cluster(self) -> None:
        """After it was joined: the connection that there was may be another's."""
        if self._driver_name == INCUS:
            self.instances.follow()

    async def take_driver(self) -> None:
        """Serve the instances of the driver that `local.driver` names by now."""
        if self._settings.get(names.DRIVER) == self._driver_name or self.instances.busy:
            return
        self.close()
        for part in OF_DRIVER:
            self.__dict__.pop(part, None)
        await self.instances.resume()

    def close(self) -> None:
        """What runs here for instances ends; their machines run on."""
        if (sharing := self.__dict__.get("sharing")) is not None:
            sharing.close()
        self.instances.close()
        if "driver" in self.__dict__:  # a launch that failed has opened it, too
            self.driver.close()

    @property
    def has_traces(self) -> bool:
        """May there be machines, or something of the network, that no instance's record knows?"""
        if self.helper is not None:
            return True
        network = state_directory.of(self._environ)
        return driver_choice.may_have_traces(self._driver_name, network, self._base)

    @cached_property
    def networking(self) -> Networking:
        """The driver's own; else a bridge where there is its service, else QEMU's."""
        if (own := self.driver.network) is not None:
            from multipassd.network.of_driver import DriverNetworking

            return DriverNetworking(own)
        from multipassd.network.bridge_client import SOCKET, BridgedNetworking
        from multipassd.network.user_mode import CHOSEN, UserNetworking, why_no_bridge

        environ, asked = self._environ, self._network
        if self.helper is not None:
            return BridgedNetworking(self.helper.socket, self.helper.directory, self.driver.user)
        if asked != USER_NETWORK and self._network_service:
            directory = Path(state_directory.of(environ))
            return BridgedNetworking(Path(environ[SOCKET]), directory, self.driver.user)
        why = CHOSEN if asked == USER_NETWORK else why_no_bridge(environ)
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
            if listed(cache):
                in_use = await asyncio.to_thread(self._images_in_use)
                if in_use is not None:  # else a disk may stand on any of them
                    await self.images.prune(in_use)
            if self._driver_name != QEMU:  # whose code need not be loaded for nothing
                await self.driver.prune_images(listed(cache))

    def _images_in_use(self) -> set[str] | None:
        """Of all drivers, also of those that are not chosen now."""
        from multipassd.instances.records.images_in_use import images_in_use

        others = [name for name in machine_files.RECORDS if name != self._driver_name]
        return images_in_use(self.registry, map(self._registry_of, others))

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
