"""How guests are reached, where the driver itself connects them to networks."""

from __future__ import annotations

from typing import Protocol


class GuestNetwork(Protocol):
    """The networks of a driver: what the rest of the daemon asks of them."""

    def endpoint(self, name: str) -> tuple[str, int] | None:
        """Host and port of a running guest's SSH server; None while it has no address."""

    def addresses(self, name: str) -> list[str]:
        """Its IPv4 addresses, the one to reach it by first."""

    async def available(self) -> list[tuple[str, str, str]]:
        """Name, type and description of the networks that a machine can be connected to. Raises
        DriverError."""

    def troubles(self) -> list[str]:
        """What is wrong with the network of all guests, sentences."""
