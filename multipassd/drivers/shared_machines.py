"""Machines that services of the same people share, where a driver can: what the rest of the daemon
asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

SERVICE = "service"  # in a machine's `Hardware`: the id of another service that made it


class Offer(NamedTuple):
    """A machine of another service, with what that one has published of it."""

    service: str  # its id
    text: bytes  # of the record; not trusted; empty while it is not known, as its host is down


class SharedMachines(Protocol):
    """What the services of one cluster and project tell each other."""

    def enabled(self) -> bool:
        """Does the administrator want it?"""

    def offers(self) -> Mapping[str, Offer] | None:
        """By the machine's name, of others; None while that is not known."""

    def published(self, name: str, service: str) -> bytes | None:
        """What is published of this machine now; None if that is not known, and if it is not that
        of `service`, or of this one where that is empty."""

    async def publish(self, name: str, text: bytes) -> None:
        """What others are to know of a machine; empty: nothing. Raises DriverError."""

    async def seed_of(self, name: str) -> Mapping[str, bytes]:
        """The files of its seed, by their names there. Raises DriverError."""

    async def let_in(self, name: str, user: str, line: str) -> None:
        """Add a line to the authorized keys of a user of a guest that runs. Raises DriverError."""
