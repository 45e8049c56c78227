"""The hardware of a QEMU machine, as it is kept in an instance's record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

BIOS, UEFI = "bios", "uefi"
FIRMWARE = "firmware"  # the key that one of a machine made elsewhere has alone


@dataclass(frozen=True)
class QemuHardware:
    """What QEMU must emulate alike at each start of a guest."""

    machine: str  # versioned, e.g. "pc-i440fx-10.0"
    cpu: str
    firmware: str  # BIOS or UEFI

    @classmethod
    def of(cls, kept: Mapping[str, str]) -> QemuHardware:
        """Raises ValueError where a key is missing."""
        try:
            return cls(kept["machine"], kept["cpu"], kept["firmware"])
        except KeyError as error:
            raise ValueError(f"the hardware in its record lacks {error}") from None

    def kept(self) -> dict[str, str]:
        """As the record has it."""
        return asdict(self)
