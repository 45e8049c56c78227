"""A driver in the place of one whose library is missing on this host: instances are shown, nothing
can be done with them, and the service itself goes on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from multipassd.drivers.interface import Driver, DriverError
from multipassd.drivers.one_host import OneHost


class AbsentDriver(OneHost):
    """All that it is asked to do fails with the same sentence."""

    max_cpus, user = 1, "root"
    opens_service_taps = offers_shares = keeps_snapshots = clones = exports = renames = False
    outlives_host = True

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> Any:
        """Of the driver's calls that are not here."""
        return self._refuse

    async def _refuse(self, *_: object, **__: object) -> Any:
        raise DriverError(self._why)

    async def check_removal(self, name: str) -> None:
        raise DriverError(self._why)

    async def remove(self, name: str) -> None:
        raise DriverError(self._why)

    async def prune_images(self, kept: Collection[str]) -> None:
        return

    async def clear(self, name: str) -> None:
        return

    def names(self) -> list[str]:
        return []

    def trouble(self, name: str) -> str:
        return self._why

    def troubles(self) -> list[str]:
        return [self._why]


def absent(why: str) -> Driver:
    """`why`: a sentence with what to do."""
    return cast(Driver, AbsentDriver(why))
