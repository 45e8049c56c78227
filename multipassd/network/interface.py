"""The interface of a way to connect guests, and what it knows of an instance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from multipassd.drivers.interface import Link
from protocol.errors import RpcError
from protocol.status import Status


class NoAddressYet(RpcError):
    """The guest is not reachable: no address was reserved for it."""

    status = Status.ABORTED

    def __init__(self, name: str) -> None:
        super().__init__(f'instance "{name}" is not running')


@dataclass(frozen=True)
class HostCard:
    """A card on a network of the host's."""

    network: str
    mac: str


@dataclass(frozen=True)
class Cards:
    """The network cards of one instance, as its record has them."""

    name: str  # of the instance
    mac: str  # of the first card, by which the guest is reached
    others: tuple[HostCard, ...] = ()
    ssh_port: int = 0  # of user networking; 0: none was chosen

    @property
    def macs(self) -> set[str]:
        return {self.mac, *(card.mac for card in self.others)}



class Networking(Protocol):
    reaches_host_networks: bool  # can a card be on a network of the host's?

    def ssh_port(self, cards: Cards) -> int:
        """The port of the loopback interface for the next start; 0 where none is needed. Raises
        RpcError."""

    async def attach(self, cards: Cards) -> tuple[Link, ...]:
        """Set up what the guest's cards need on the host. Raises RpcError with how to mend it."""

    async def detach(self, cards: Cards) -> None:
        """Take down what `attach` set up for this guest alone."""

    async def forget(self, cards: Cards) -> None:
        """The instance is gone for good: nothing is kept for it any longer."""

    async def settle(self, every: Iterable[Cards]) -> None:
        """Forget what belongs to none of these, which are all there are. Raises RpcError."""

    async def bridge(self, device: str) -> str:
        """The bridge on an ethernet device's wire, made now if need be. Raises RpcError."""

    async def tidy(self) -> None:
        """Take down bridges that no instance came to need. Raises RpcError."""

    def links(self, cards: Cards) -> tuple[Link, ...]:
        """What `attach` answers, without setting anything up."""

    def endpoint(self, cards: Cards) -> tuple[str, int]:
        """Host and port of a running guest's SSH. Raises RpcError while it has no address."""

    def addresses(self, cards: Cards) -> list[str]:
        """A running guest's IPv4 addresses, the one to reach it by first; ["N/A"] if unknown."""

    def troubles(self) -> list[str]:
        """What is wrong with the network of all guests, or what it lacks: sentences, with what to
        do."""
