"""The interface of a backend. The rest of the daemon knows instances' machines only by this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from multipassd.images.image import Base
from protocol.errors import RpcError
from protocol.status import Status


class DriverError(RpcError):
    """The backend could not do it; the sentence says what, why, and what to do."""

    status = Status.INTERNAL


@dataclass(frozen=True)
class Link:
    """One network card as the host sees it: a tap device, or user networking with a port that is
    forwarded to the guest's SSH (exactly one of both is set)."""

    mac: str
    tap: str = ""
    ssh_port: int = 0


@dataclass(frozen=True)
class Hardware:
    """What a guest must find again at each start, so it is chosen once, at launch, and kept."""

    machine: str  # versioned, e.g. "pc-i440fx-10.0"
    cpu: str
    firmware: str  # "bios" or "uefi"


@dataclass(frozen=True)
class Machine:
    """All that starting needs. Files of the backend's own lie in `directory`, beside seed.iso."""

    name: str
    directory: Path
    cpus: int
    memory: int  # bytes
    hardware: Hardware
    links: tuple[Link, ...]

    @property
    def disk(self) -> Path:
        return self.directory / "disk.qcow2"

    @property
    def seed(self) -> Path:
        return self.directory / "seed.iso"


class Guest(Protocol):
    """A machine that runs. `goes_on` is called each time that it goes on after it stood still, and
    is to be set before anything is awaited; `stood_still` tells that it did so before that."""

    stood_still: bool
    goes_on: Callable[[], None]

    @property
    def stalled(self) -> str:
        """Why it stands still for now; empty as long as it does not."""

    async def power_down(self) -> None:
        """Press the power button; the guest may take its time or ignore it."""

    async def kill(self) -> None:
        """Off at once; what does not listen is left to the driver's `clear`."""

    async def suspend(self) -> None:
        """Save its state beside the disk and end it. Raises DriverError; then it runs on."""

    async def ended(self) -> str:
        """Wait until it ends, however that comes about; the reason, empty after an orderly end."""

    async def console(self) -> str:
        """The end of what it printed, as much as is kept. Never fails."""

    def close(self) -> None:
        """Let go of it; it runs on."""


class Driver(Protocol):
    name: str

    async def ready(self) -> None:
        """Raises DriverError where no machine could be made or run: to know it before an image is
        fetched for one."""

    async def choose(self, base: Base) -> Hardware:
        """Hardware for a new machine from this image. Raises DriverError where nothing can run."""

    async def create(self, machine: Machine, base: Base, size: int) -> None:
        """The disk, `size` bytes, on top of the image, which stays as it is and where it is."""

    async def grow(self, machine: Machine, size: int) -> None:
        """Make the disk of a stopped machine larger."""

    async def start(self, machine: Machine) -> Guest:
        """Start it, from its suspended state if there is one. Raises DriverError."""

    async def find(self, machine: Machine) -> Guest | None:
        """The guest, if it runs: started by an earlier daemon, or not at all. A transition that
        the earlier daemon could not complete is completed or undone.

        Raises DriverError if it runs, but can't be reached."""

    async def suspended(self, machine: Machine) -> bool:
        """Is there a suspended state that `start` would resume?"""

    async def forget_suspended(self, machine: Machine) -> None:
        """The next start is a boot."""

    async def clear(self, name: str) -> None:
        """End what may still run under this name and remove its runtime files. Never fails."""

    def names(self) -> list[str]:
        """Under which machines may run, of this service's instances and others."""

    async def stranger(self, name: str) -> str:
        """Of a machine that runs under a name that is no instance's: what it is, and what to do
        about it; empty if none runs. It is left alone, as it may be anybody's."""
