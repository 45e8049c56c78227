"""What a TCP address lets other machines do, and what a firewall may say to it."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from multipassd.admin.access import units
from multipassd.admin.access.locations import Place
from multipassd.admin.access.verb import TrustError
from multipassd.settings.settings import Settings
from protocol import addresses
from protocol.addresses import AddressError, TcpAddress

UFW = Path("/etc/ufw/ufw.conf")


def parse(text: str) -> TcpAddress:
    """An address of this host, or all of them, in digits: a socket unit takes no names. Raises
    TrustError."""
    try:
        address = addresses.parse(text)
    except AddressError as error:
        raise TrustError(f"Nothing was changed: {error}.") from None
    if not isinstance(address, TcpAddress) or not address.port:
        raise TrustError(f"Nothing was changed: {text} is no HOST:PORT, for example 0.0.0.0:50051.")
    try:
        host = ip_address("127.0.0.1" if address.host == "localhost" else address.host)
    except ValueError:
        raise TrustError(
            f"Nothing was changed: {address.host} is a name. Write an address in digits: 0.0.0.0 "
            "for every IPv4 address of this host, [::] for IPv6, too, or one that "
            "`ip -brief address` shows."
        ) from None
    if host.is_link_local:
        raise TrustError(
            f"Nothing was changed: {address.host} means something on one link only. Name another "
            "address of this host, or [::]."
        )
    found = TcpAddress(str(host), address.port)
    _check_own(found, 6 if isinstance(host, IPv6Address) else 4)
    return found


def is_wide(address: str) -> bool:
    """Whether other machines may reach it."""
    host = address.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        return not ip_address(host).is_loopback
    except ValueError:  # a drop-in of an administrator's own
        return True


def notes(address: str, place: Place) -> list[str]:
    """What an administrator ought to know of it; nothing for this machine's own addresses."""
    if not is_wide(address):
        return []
    return [_joining(address), _warning(place), *firewalls(address.rpartition(":")[2])]


def firewalls(port: str) -> list[str]:
    """Those that run here, with the command that opens the port; none of it is done."""
    found = []
    if _ufw_is_on():
        found.append(f"The firewall ufw is on; `sudo ufw allow {port}/tcp` opens the port.")
    if _runs("firewalld.service"):
        found.append(
            "The firewall firewalld is on; `sudo firewall-cmd --permanent "
            f"--add-port={port}/tcp && sudo firewall-cmd --reload` opens the port."
        )
    if _runs("nftables.service") and not found:
        found.append(
            "The firewall nftables is on. If /etc/nftables.conf drops what it does not name, "
            f"`tcp dport {port} accept` in its input chain, then `sudo nft -f /etc/nftables.conf`, "
            "opens the port."
        )
    return found


def _joining(address: str) -> str:
    host, _, port = address.rpartition(":")
    if host in ("0.0.0.0", "[::]"):
        host = socket.gethostname()
    return (
        f"Other machines reach it as {host}:{port}. `multipass invite NAME` prints the command by "
        "which one person joins from there."
    )


def _warning(place: Place) -> str:
    limited = (
        "Warning: every machine that reaches the port may try to connect, and to guess the "
        "passphrase, some 3,000 times a day in all. "
    )
    settings = Settings(place.settings, place.owner)
    if settings.problem:
        return f"{limited}It is not known whether one is set: {settings.problem}"
    if settings.passphrase_record():
        return (
            f"{limited}One is set. `multipass set local.passphrase=` unsets it: invitations work "
            "without, and can't be guessed."
        )
    return f"{limited}None is set, so only invitations let others in. Leave it so."


def _check_own(address: TcpAddress, version: int) -> None:
    """Raises TrustError for an address that no interface of this host has."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((address.host, 0))
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise TrustError(
                f"Nothing was changed: no interface of this host has the address {address.host}; "
                "`ip -brief address` shows those that there are."
            ) from None


def _ufw_is_on() -> bool:
    try:
        lines = UFW.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.replace(" ", "").lower() == "enabled=yes" for line in lines)


def _runs(unit: str) -> bool:
    try:
        return units.manager_runs() and units.active(unit)
    except TrustError:
        return False
