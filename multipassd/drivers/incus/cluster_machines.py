"""The machines of this daemon on the cluster: which they are, where they are, and their end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from multipassd.drivers.incus import disks
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import MemberUnreachable, Unreachable
from multipassd.drivers.incus.cluster import entry as entries
from multipassd.drivers.incus.cluster.connection import FIRST_ANSWER_SECONDS, Cluster
from multipassd.drivers.incus.cluster.entry import Entry
from multipassd.drivers.incus.cluster.view import ONLINE
from multipassd.drivers.incus.guest import REMOVED
from multipassd.drivers.incus.networking.guest_network import ClusterNetwork
from multipassd.drivers.incus.sharing import ClusterSharing
from multipassd.drivers.interface import DriverError, Machine
from multipassd.drivers.shared_machines import SERVICE
from multipassd.system import log
from protocol import settings as names

STOP_SECONDS, DELETE_SECONDS = 60.0, 300.0

_log = log.get("incus")


class ClusterMachines:
    """The part of the driver that concerns machines as a whole. A machine is this daemon's if it
    has its tag; what has not is never changed."""

    def __init__(self, directory: Path, setting: Callable[[str], str]) -> None:
        """`directory`: of the membership; `setting`: the present value of one."""
        self._setting = setting
        self._cluster = Cluster(directory)
        self._view = self._cluster.view
        self._view.usable = self._may_use
        self.network = ClusterNetwork(
            self._reached, self._view, lambda: setting(names.INCUS_NETWORK)
        )
        self.sharing = ClusterSharing(
            self._cluster, self._reached, lambda: setting(names.INCUS_SHARED) == "true"
        )

    def open(self, changed: Callable[[str], None], unused: Callable[[str], None]) -> None:
        self._view.on_change, self._view.on_unused = changed, unused
        self._cluster.open()

    def close(self) -> None:
        self.network.relay.close()
        self._cluster.close()

    # -- what is known of it ----------------------------------------------------------------------

    async def _reached(self, seconds: float = FIRST_ANSWER_SECONDS) -> Api:
        """`seconds`: how long its first answer is waited for. Raises IncusError."""
        api = await self._cluster.api(seconds)
        if self._view.unreachable:
            raise Unreachable(f"The Incus cluster is not reached: {self._view.unreachable}")
        return api

    async def _look(self, name: str) -> Entry | None:
        """As it is now. Raises IncusError, also where whose it is can't be told."""
        watch = await self._cluster.watch()
        found = await watch.fresh(name)
        if found is not None and not found.known:
            why = self._view.trouble(name) or "Incus does not tell its configuration"
            raise MemberUnreachable(f"Nothing can be done to {name} now: {why}.")
        return found

    def _may_use(self, found: Entry) -> bool:
        """Is it this daemon's, or shared by one of the same people? Maybe it is while that is not
        known; then nothing can be done to it."""
        if found.daemon == self._cluster.daemon or not found.known:
            return True
        return bool(found.daemon and found.record) and self.sharing.enabled()

    async def _usable(self, name: str) -> Entry | None:
        """As it is now; None for what is not this service's to use, too. Raises IncusError."""
        found = await self._look(name)
        return found if found is not None and self._may_use(found) else None

    async def _own(self, machine: Machine) -> Entry:
        """As it is now; of the service that made it. Raises DriverError."""
        name, service = machine.name, machine.hardware.get(SERVICE) or self._cluster.daemon
        found = await self._look(name)
        if found is None:
            raise DriverError(
                f"{name} is no more on the Incus cluster: another program has removed it. "
                f"`multipass delete --purge {name}` forgets it."
            )
        if found.daemon != service or not self._may_use(found):
            raise DriverError(
                f"{name} on the Incus cluster is not the instance that this service has made, and "
                f"is left alone. `multipass delete --purge {name}` forgets ours."
            )
        return found

    # -- where it is ------------------------------------------------------------------------------

    async def check_removal(self, name: str) -> None:
        await self._reached()
        if why := self._view.trouble(name):
            raise DriverError(f"{name} can't be removed now: {why}.")

    async def remove(self, name: str) -> None:
        api = await self._reached()
        found = await self._look(name)
        if found is None:
            return
        if found.daemon != self._cluster.daemon:
            _log.warning("%s on the Incus cluster is not this service's, and stays", name)
            return
        await self._end(api, found)
        what = f"remove the instance {name}"
        await api.operate("DELETE", disks.instance(name), seconds=DELETE_SECONDS, what=what)
        self._view.remove(name)

    async def remove_unused(self, name: str) -> None:
        found = await self._look(name)
        if found is None or not found.unused or found.daemon != self._cluster.daemon:
            return
        _log.info("%s on the Incus cluster is left over from a launch, and is removed", name)
        await self.remove(name)

    def fate(self, name: str) -> str:
        gone = self._view.listed and self._view.get(name) is None
        return REMOVED if gone else ""

    def place(self, name: str) -> str:
        found = self._view.get(name)
        return found.location if found is not None else ""

    def way(self, name: str) -> str:
        return self.network.way(name)

    async def check_place(self, host: str) -> None:
        await self._reached()
        if not host:
            return
        if host not in self._view.members:
            raise DriverError(
                f"The Incus cluster has no host {host}. `multipass list --location` shows on which "
                "of them instances are, `incus cluster list` on one of them shows all."
            )
        if self._view.members[host] != ONLINE:
            raise DriverError(
                f"The host {host} of the Incus cluster is {self._view.members[host].lower()}."
            )

    async def move(self, machine: Machine, host: str) -> None:
        await self.check_place(host)
        found = await self._own(machine)
        if found.location != host:
            await disks.move(await self._reached(), machine.name, host)
            await self._look(machine.name)

    def trouble(self, name: str) -> str:
        return self._view.trouble(name)

    def troubles(self) -> list[str]:
        return self._view.troubles()

    def names(self) -> list[str]:
        return []  # what else the project has is left alone

    async def stranger(self, name: str) -> str:
        await self.remove_unused(name)
        return "" if await self._look(name) is None else taken(name)

    async def _end(self, api: Api, found: Entry) -> None:
        if found.status != entries.STOPPED:
            body = {"action": "stop", "force": True, "timeout": -1}
            await self._change_state(api, found.name, body, STOP_SECONDS)
            await self._look(found.name)

    async def _change_state(
        self, api: Api, name: str, body: dict[str, Any], seconds: float
    ) -> None:
        what = f"{body['action']} the instance {name}"
        path = f"{disks.instance(name)}/state"
        await api.operate("PUT", path, body, seconds=seconds, what=what)


def taken(name: str) -> str:
    """Of a name that an instance of others has."""
    return (
        f"the project on the Incus cluster has an instance {name} already, which this service has "
        "not made; it is left alone. `incus list` shows it."
    )
