"""Which drivers there are, as the setting `local.driver` names them, and what is asked of one that
is not loaded: the only place that knows them by name, beside the directories of the drivers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from multipassd.drivers.qemu.shared_names import RUNTIME, UNIT_PREFIX
from multipassd.system.installation import Installation
from protocol.errors import RpcError
from protocol.status import Status

if TYPE_CHECKING:
    from multipassd.drivers.backend import Backend
    from multipassd.drivers.finding import Finding

QEMU = "qemu"
INCUS = "incus"  # the driver, and below the data directory what is kept of its cluster


def _qemu() -> Backend:
    from multipassd.drivers.qemu.assembly import BACKEND

    return BACKEND


def _incus() -> Backend:
    from multipassd.drivers.incus.assembly import BACKEND

    return BACKEND


def _may_run_qemu(storage: Path) -> bool:
    """By the directories of machines without units, and of units."""
    detached, units = listed(str(storage / "run")), listed(RUNTIME)
    return bool(detached) or any(name.startswith(UNIT_PREFIX) for name in units)


# By their names in the setting `local.driver`. What is in `settings/values.py` can be set.
DRIVERS: Mapping[str, Callable[[], Backend]] = {QEMU: _qemu, INCUS: _incus}
# For each of them: may machines run with this storage? Asked without the driver.
HAVE_MACHINES: Mapping[str, Callable[[Path], bool]] = {
    QEMU: _may_run_qemu,
    INCUS: lambda storage: False,  # what has no record on a cluster is none of this service's
}


class DriverBusy(RpcError):
    """Instances run, which another driver would know nothing of."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, driver: str) -> None:
        super().__init__(
            f"local.driver was not changed: instances of {driver} run or are being made. "
            "`multipass stop --all` stops them; they are there again when that driver is."
        )


class InTheMaking(RpcError):
    """Instances are being made, which would be left over on the cluster."""

    status = Status.FAILED_PRECONDITION

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"The cluster was not changed, as instances are being made on it: {', '.join(names)}. "
            "Please try again once they are there."
        )


def may_have_traces(driver: str, network: str, storage: Path) -> bool:
    """May there be machines, or something of the network, that no instance's record knows?
    `network`: the directory of what the network's service keeps."""
    try:
        return bool(listed(network)) or HAVE_MACHINES[driver](storage)
    except OSError:  # there is what can't be listed
        return True


async def power_down(environ: Mapping[str, str], seconds: float) -> None:
    """End all machines that no service manager ends, by their power buttons if `seconds` are
    enough. For when the daemon does not run and is not to come back. Never fails."""
    storage = Path(Installation.of(environ).storage)
    backends = [load() for load in DRIVERS.values()]
    await asyncio.gather(*(each.power_down(environ, storage, seconds) for each in backends))


async def inspect(
    driver: str, data: Path, setting: Callable[[str], str], known: Collection[str]
) -> Sequence[Finding]:
    """What the driver finds of what it needs besides this host, for administrators. `known`: the
    names of its instances."""
    if driver != INCUS:
        return ()
    from multipassd.drivers.incus.inspection import cluster

    return await cluster.inspect(data / INCUS, setting, known)


def listed(directory: str) -> list[str]:
    """Nothing where it does not exist. Raises OSError."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.listdir(directory)
    return []
