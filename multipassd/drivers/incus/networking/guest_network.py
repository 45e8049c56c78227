"""How guests on the cluster are reached, and which networks it offers: see `networks.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.cluster.entry import CONTAINER, RUNNING
from multipassd.drivers.incus.cluster.view import View
from multipassd.drivers.incus.networking import networks
from multipassd.drivers.incus.networking.networks import Networks
from multipassd.drivers.incus.networking.relay import LOOPBACK, Relay

SSH = 22
DIRECTLY, THROUGH_CLUSTER = "directly", "through the cluster"


class ClusterNetwork:
    """The networks as they were last read. `named`: `local.incus.network`, as it is now."""

    def __init__(
        self, api: Callable[[], Awaitable[Api]], view: View, named: Callable[[], str]
    ) -> None:
        self._api = api
        self._view = view
        self._named = named
        self._read: Networks | None = None
        self.relay = Relay(api)

    async def read(self) -> Networks:
        """As they are now. Raises IncusError."""
        api = await self._api()
        self._read = await networks.read(api, self._named(), len(self._view.members) or 1)
        return self._read

    async def known(self) -> Networks:
        """As they were last read. Raises IncusError."""
        return self._read or await self.read()

    def endpoint(self, name: str) -> tuple[str, int] | None:
        entry = self._view.get(name)
        if entry is None or entry.status != RUNNING:
            return None
        if self._is_direct(name):
            return (entry.addresses[0], SSH) if entry.addresses else None
        if entry.kind != CONTAINER:
            return None
        return LOOPBACK, self.relay.port(name)

    def addresses(self, name: str) -> list[str]:
        entry = self._view.get(name)
        return list(entry.addresses) if entry is not None else []

    def way(self, name: str) -> str:
        entry = self._view.get(name)
        if entry is None or self._read is None:
            return ""
        return DIRECTLY if self._is_direct(name) else THROUGH_CLUSTER

    def _is_direct(self, name: str) -> bool:
        """Is its first card on the network that this host reaches?"""
        entry = self._view.get(name)
        read = self._read
        if entry is None or read is None or not entry.cards:
            return False
        return read.direct and entry.cards[0].network == read.usual

    async def available(self) -> list[tuple[str, str, str]]:
        found = (await self.read()).found
        return [(each.name, each.type, each.description) for each in found.values()]

    def troubles(self) -> list[str]:
        read = self._read
        if read is None or read.direct or not self._named():
            return []
        return [f"Guests are reached {THROUGH_CLUSTER}, as {read.why}."]
