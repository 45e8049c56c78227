"""The network cards in a record: new MAC addresses, and what cloud-init configures."""

from __future__ import annotations

import os

from multipassd.cloudinit.seed import Interface
from multipassd.instances.records.record import Record


def interfaces(record: Record) -> tuple[Interface, ...]:
    """The cards that the guest is to set up."""
    extra = (Interface(each.mac, optional=True) for each in record.networks if each.configured)
    return (Interface(record.mac), *extra)


def mac_address(taken: set[str]) -> str:
    """A new one, in QEMU's own range; added to `taken`."""
    while True:
        tail = os.urandom(3)
        address = "52:54:00:" + ":".join(f"{byte:02x}" for byte in tail)
        if address not in taken:
            taken.add(address)
            return address
