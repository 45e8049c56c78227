"""The interface of a way to connect guests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from multipassd.drivers.interface import Link
from multipassd.instances.records.record import Record


class Networking(Protocol):
    reaches_host_networks: bool  # can a card be on a network of the host's?

    def prepared(self, record: Record) -> Record:
        """The record with what must be chosen before a start, e.g. a free port. Raises RpcError."""

    async def attach(self, record: Record) -> tuple[Link, ...]:
        """Set up what the guest's cards need on the host. Raises RpcError with how to mend it."""

    async def detach(self, record: Record) -> None:
        """Take down what `attach` set up for this guest alone."""

    async def forget(self, record: Record) -> None:
        """The instance is gone for good: nothing is kept for it any longer."""

    async def settle(self, records: Iterable[Record]) -> None:
        """Forget what belongs to none of these, which are all there are. Raises RpcError."""

    async def bridge(self, device: str) -> str:
        """The bridge on an ethernet device's wire, made now if need be. Raises RpcError."""

    async def tidy(self) -> None:
        """Take down bridges that no instance came to need. Raises RpcError."""

    def links(self, record: Record) -> tuple[Link, ...]:
        """What `attach` answers, without setting anything up."""

    def endpoint(self, record: Record) -> tuple[str, int]:
        """Host and port of a running guest's SSH. Raises RpcError while it has no address."""

    def addresses(self, record: Record) -> list[str]:
        """A running guest's IPv4 addresses, the one to reach it by first; ["N/A"] if unknown."""

    def troubles(self) -> list[str]:
        """What is wrong with the network of all guests, or what it lacks: sentences, with what to
        do."""
