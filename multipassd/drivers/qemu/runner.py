"""The interface of a way to run QEMU so that it outlives the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from multipassd.drivers.qemu import shared_names
from multipassd.drivers.qemu.shared_names import UNIT_PREFIX

RUNTIME = Path(shared_names.RUNTIME)
USER = "multipass-vm"  # made by the package; owns nothing but what is given to its group

MAX_SAID = 500  # characters of QEMU's words that are passed on


def shown(text: object) -> str:
    """What QEMU says goes to terminals, and a guest that took QEMU over chooses it."""
    return "".join(filter(str.isprintable, str(text)))[-MAX_SAID:]


def unit_runtime(name: str) -> Path:
    """Where the unit of this machine keeps its sockets; is there while the unit is."""
    return RUNTIME / f"{UNIT_PREFIX}{name}"


class Runner(Protocol):
    """Keeps QEMU's processes, each under a name."""

    user: str  # who QEMU runs as
    opens_service_taps: bool  # may QEMU open the taps that the network service makes?

    def runtime(self, name: str) -> Path:
        """Where the process of this name keeps its sockets."""

    async def start(self, name: str, command: Sequence[str], place: Path) -> None:
        """Start it, with a runtime directory of its own; `place` is the one directory that it
        writes to. Raises DriverError if it could not even be tried."""

    def names(self) -> list[str]:
        """Of all that have a runtime directory, whether they run or not."""

    async def alive(self, name: str) -> bool:
        """Is there a process of this name?"""

    async def last_output(self, name: str) -> str:
        """The last line that a process which has ended printed, fit to show; may be empty."""

    async def clear(self, name: str) -> None:
        """End it, if it runs, and remove its runtime directory. Never fails."""

    def advice(self, name: str) -> str:
        """What an administrator types to end it, if it runs."""
