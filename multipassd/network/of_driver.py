"""The networking of a driver that connects guests by itself, as on a cluster: nothing of this
host's network is touched."""

from __future__ import annotations

from collections.abc import Iterable

from multipassd.drivers.guest_network import GuestNetwork
from multipassd.drivers.interface import DriverError, Link
from multipassd.network.interface import Cards, NoAddressYet
from multipassd.network.interfaces import Interface


class DriverNetworking:
    """Networking by the driver."""

    reaches_host_networks = is_outside = True

    def __init__(self, network: GuestNetwork) -> None:
        self._network = network

    async def available(self) -> list[Interface]:
        return [
            Interface(name, kind, about=about)
            for name, kind, about in await self._network.available()
        ]

    def ssh_port(self, cards: Cards) -> int:
        return 0

    async def attach(self, cards: Cards) -> tuple[Link, ...]:
        return self.links(cards)

    async def detach(self, cards: Cards) -> None:
        return

    async def release(self, cards: Cards) -> None:
        return

    async def reconcile(self, every: Iterable[Cards]) -> None:
        return

    async def bridge(self, device: str) -> str:
        raise DriverError(
            f"Nothing is bridged here: {device} is to be a network of the cluster's. "
            "`multipass networks` shows them."
        )

    async def clean_up(self) -> None:
        return

    def links(self, cards: Cards) -> tuple[Link, ...]:
        others = (Link(card.mac, network=card.network) for card in cards.others)
        return (Link(cards.mac), *others)

    def endpoint(self, cards: Cards) -> tuple[str, int]:
        found = self._network.endpoint(cards.name)
        if found is None:
            raise NoAddressYet(cards.name)
        return found

    def addresses(self, cards: Cards) -> list[str]:
        return self._network.addresses(cards.name)

    def troubles(self) -> list[str]:
        return self._network.troubles()
