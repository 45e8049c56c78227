"""The reserved address of each instance, by MAC address, in the file that dnsmasq reads.

An address is chosen before its instance first starts and kept until that is purged, so a guest that
was suspended for longer than its lease is still found. No other MAC address gets a lease: a guest
that invents some can't use up the addresses.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from multipassd.network import subnet as subnets
from multipassd.system.files import read_regular, write_atomically

FILE, LEASES = "hosts", "leases"
BRIDGES = "bridges.json"  # the record of bridges on the host's devices: see uplinks/registry.py
MAX_FILE = 1 << 20  # a line has some 100 bytes, a subnet 253 of them
MODE = 0o644  # dnsmasq's own user reads it


@dataclass(frozen=True)
class Reservation:
    """One line of dnsmasq's file."""

    mac: str
    address: IPv4Address
    name: str


class NoAddress(Exception):
    """All addresses of the subnet are taken."""


def read(directory: Path) -> dict[str, Reservation]:
    """Reservations by MAC; none if there is no file. Raises OSError."""
    try:
        text = read_regular(directory / FILE, MAX_FILE).decode("ascii", "replace")
    except FileNotFoundError:
        return {}
    found = (_parsed(line) for line in text.splitlines())
    return {each.mac: each for each in found if each is not None}


def write(directory: Path, reservations: Mapping[str, Reservation]) -> None:
    """Raises OSError."""
    lines = [f"{each.mac},{each.address},{each.name}\n" for each in reservations.values()]
    write_atomically(directory / FILE, "".join(lines).encode(), MODE)


def leased(directory: Path) -> dict[IPv4Address, str]:
    """The MAC address that dnsmasq gave each address to last. Raises OSError."""
    try:
        text = read_regular(directory / LEASES, MAX_FILE).decode("ascii", "replace")
    except FileNotFoundError:
        return {}
    found: dict[IPv4Address, str] = {}
    for line in text.splitlines():
        fields = line.split()  # expiry, MAC, address, name, client id
        if len(fields) >= 3 and fields[1].count(":") == 5:
            found[IPv4Address(fields[2])] = fields[1].lower()
    return found


def drop_leases(directory: Path, known: Container[str]) -> None:
    """Keep only leases of known MAC addresses; dnsmasq must not run. Raises OSError."""
    try:
        text = read_regular(directory / LEASES, MAX_FILE).decode("ascii", "replace")
    except FileNotFoundError:
        return
    lines = text.splitlines(keepends=True)
    kept = "".join(line for line in lines if line.split()[1:2] and line.split()[1] in known)
    if kept != text:
        write_atomically(directory / LEASES, kept.encode(), MODE)


def choose(
    subnet: IPv4Network, mac: str, taken: Iterable[Reservation], leases: Mapping[IPv4Address, str]
) -> IPv4Address:
    """A free address for `mac`. Raises NoAddress."""
    reserved = {each.address for each in taken}
    # dnsmasq refuses an address while another client's lease of it lasts.
    lent = {address for address, owner in leases.items() if owner != mac}
    for address in subnets.addresses(subnet):
        if address not in reserved and address not in lent:
            return address
    raise NoAddress


def _parsed(line: str) -> Reservation | None:
    mac, _, rest = line.partition(",")
    address, _, name = rest.partition(",")
    try:
        return Reservation(mac.lower(), IPv4Address(address), name)
    except ValueError:
        return None
