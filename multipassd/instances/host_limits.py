"""The smallest and largest CPUs, memory and disk that an instance can have on this host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from protocol import sizes
from protocol.errors import RpcError
from protocol.status import Status

if TYPE_CHECKING:
    from multipassd.drivers.interface import Driver

MEMINFO = Path("/proc/meminfo")
MIN_MEMORY = 128 << 20
MIN_CPUS = 1


class TooLarge(RpcError):
    """The host has less than an instance is to have."""

    status = Status.INVALID_ARGUMENT


@dataclass(frozen=True)
class HostLimits:
    """In bytes; 0 is unknown and limits nothing."""

    memory: int  # RAM and swap
    disk: int  # of the file system that holds the disks; used or not
    directory: Path  # where that is

    def memory_excess(self, size: int) -> str:
        """A sentence that says why an instance can't have this much memory; empty if it can."""
        if not self.memory or size <= self.memory:
            return ""
        has = sizes.human(self.memory)
        return f"{sizes.human(size)} of memory is more than this host has, which is {has} with swap"

    def disk_excess(self, size: int) -> str:
        """The same for its disk. Disks grow as they are written to, so several may together be
        larger than the file system, but one alone could never be filled."""
        if not self.disk or size <= self.disk:
            return ""
        return (
            f"A disk of {sizes.human(size)} is larger than the host's whole file system at "
            f"{self.directory}, which has {sizes.human(self.disk)}"
        )


def of(driver: Driver, directory: Path) -> HostLimits:
    """None where machines are on other hosts, which tell that when one is made; else as `read`."""
    return HostLimits(0, 0, directory) if driver.places else read(directory)


def read(directory: Path) -> HostLimits:
    """Of this host now, with the file system of `directory`."""
    return HostLimits(_memory(), _disk(directory), directory)


def _memory() -> int:
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return 0
    found = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    return sum(int(found[name][0]) << 10 for name in ("MemTotal", "SwapTotal") if name in found)


def _disk(directory: Path) -> int:
    """Of the nearest directory that exists."""
    for each in (directory, *directory.parents):
        try:
            status = os.statvfs(each)
        except OSError:
            continue
        return status.f_frsize * status.f_blocks
    return 0
