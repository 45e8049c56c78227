"""Interface of the ways to connect guests to a network, and what it knows of an instance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from multipassd.drivers.interface import Link
from multipassd.network.interfaces import Interface
from protocol.errors import RpcError
from protocol.status import Status


class NoAddressYet(RpcError):
    """The guest is not reachable: no address was reserved for it."""

    status = Status.ABORTED

    def __init__(self, name: str) -> None:
        super().__init__(f'instance "{name}" is not running')


@dataclass(frozen=True)
class HostCard:
    """A network card on one of the host's networks."""

    network: str
    mac: str


@dataclass(frozen=True)
class Cards:
    """The network cards of one instance, as in its record."""

    name: str  # of the instance
    mac: str  # of the first card, through which the daemon reaches the guest
    others: tuple[HostCard, ...] = ()
    ssh_port: int = 0  # of user networking; 0: none was chosen

    @property
    def macs(self) -> set[str]:
        return {self.mac, *(card.mac for card in self.others)}


class Networking(Protocol):
    """One way to connect all guests: a bridge of the host's, or QEMU's user networking."""

    reaches_host_networks: bool  # can a card be on a network of the host's?
    is_outside: bool  # are guests on networks that are none of this service's own?

    async def available(self) -> list[Interface]:
        """The networks that a card can be on, the first one's excepted. Raises RpcError."""

    def ssh_port(self, cards: Cards) -> int:
        """The port of the loopback interface for the next start; 0 where none is needed. Raises
        RpcError."""

    async def attach(self, cards: Cards) -> tuple[Link, ...]:
        """Set up what the guest's cards need on the host. Raises RpcError with how to repair it."""

    async def detach(self, cards: Cards) -> None:
        """Take down what `attach` set up for this guest alone. Raises RpcError."""

    async def release(self, cards: Cards) -> None:
        """The instance was purged: give up its addresses, and bridges that only it used. Raises
        RpcError."""

    async def reconcile(self, every: Iterable[Cards]) -> None:
        """Release what belongs to none of these, which are all instances. Raises RpcError."""

    async def bridge(self, device: str) -> str:
        """The name of the bridge that an ethernet device is a port of; it is made if there is none.
        Raises RpcError."""

    async def clean_up(self) -> None:
        """Remove bridges that no instance uses, as after a failed launch. Raises RpcError."""

    def links(self, cards: Cards) -> tuple[Link, ...]:
        """What `attach` returns, without setting anything up."""

    def endpoint(self, cards: Cards) -> tuple[str, int]:
        """Host and port of a running guest's SSH server. Raises RpcError while it has no
        address."""

    def addresses(self, cards: Cards) -> list[str]:
        """A running guest's IPv4 addresses, the one to reach it by first; ["N/A"] if unknown."""

    def troubles(self) -> list[str]:
        """Sentences about what is wrong with the network of all guests, or missing, and what to
        do."""
