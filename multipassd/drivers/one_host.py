"""What all drivers have in common that keep their machines on this host."""

from __future__ import annotations

from collections.abc import Callable, Collection

from multipassd.drivers.interface import MOVE, TARGET, Hardware, Machine, NotOnBackend
from multipassd.images.image import DISK, Base, Kind


class OneHost:
    """The part of `Driver` that is about other hosts. A machine has nothing outside its directory,
    and ends with the host."""

    places = outlives_host = False
    renames = True
    image_kind: Kind = DISK
    network = sharing = None

    def suspends(self, hardware: Hardware) -> bool:
        return True

    async def prepare(self, base: Base, report: Callable[[int], None]) -> None:
        return

    async def prune_images(self, kept: Collection[str]) -> None:
        return

    def open(self, changed: Callable[[str], None], unused: Callable[[str], None]) -> None:
        return  # each machine is found when it is asked for

    def close(self) -> None:
        return

    async def check_removal(self, name: str) -> None:
        return

    async def remove(self, name: str) -> None:
        return

    async def remove_unused(self, name: str) -> None:
        return

    def fate(self, name: str) -> str:
        return "it ended while the service did not run"

    def place(self, name: str) -> str:
        return ""

    def way(self, name: str) -> str:
        return ""

    async def check_place(self, host: str) -> None:
        raise NotOnBackend(TARGET)

    async def move(self, machine: Machine, host: str) -> None:
        raise NotOnBackend(MOVE)

    def trouble(self, name: str) -> str:
        return ""

    def troubles(self) -> list[str]:
        return []
