"""Disks of an instance that was never launched, and what is in them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from multipassd.drivers.qemu.hardware import UEFI, QemuHardware
from tools import records
from tools.sandbox import Sandbox

DISK_SIZE = 64 << 20
AREA = "8M"  # that is written


class Disks:
    """The disk and the UEFI variables of an instance."""

    def __init__(self, sandbox: Sandbox, name: str, **fields: object) -> None:
        hardware = QemuHardware("pc", "max", UEFI).kept()
        made = records.make(name, 1, hardware=hardware, **{"disk": DISK_SIZE, **fields})
        records.put(sandbox, made)
        place = records.registry(sandbox).place(name)
        self.paths = (place / "disk.qcow2", place / "uefi.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.paths[1], AREA], check=True)

    def write(self, pattern: int) -> None:
        """The same byte all over, in both."""
        for path in self.paths:
            write(path, pattern)

    def hold(self, pattern: int) -> bool:
        return all(holds(path, pattern) for path in self.paths)

    def check(self) -> None:
        """No cluster is lost or used twice, nor would it be after the next writes."""
        for path in self.paths:
            subprocess.run(["qemu-img", "check", "-q", path], check=True)

    def tags(self) -> list[list[str]]:
        """Of the snapshots in each."""
        return [tags_of(path) for path in self.paths]


def write(path: Path, pattern: int) -> None:
    _io(path, f"write -q -P {pattern} 0 {AREA}")


def holds(path: Path, pattern: int) -> bool:
    return "Pattern verification failed" not in _io(path, f"read -P {pattern} 0 {AREA}")


def tags_of(path: Path) -> list[str]:
    listed = subprocess.check_output(["qemu-img", "snapshot", "-l", path], text=True)
    return [line.split()[1] for line in listed.splitlines()[2:]]


def _io(path: Path, command: str) -> str:
    done = subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", command, path], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr
