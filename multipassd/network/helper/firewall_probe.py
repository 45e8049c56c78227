"""Probes what the host's firewall does with a guest's packets.

Other programs' rules are not interpreted: frames are written to the guest's tap, and a table of our
own, whose chains come after all others, counts and drops those that arrive. So every kind of rule
is taken into account, iptables' and the bridge's too, and no probe leaves the host.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address

from multipassd.network import tools
from multipassd.network.bridge import TUN
from multipassd.network.helper import packets
from multipassd.network.interfaces import NET
from multipassd.network.tools import NetworkFailure

TABLE = "multipass_probe"
# Before connection tracking (-200) and everything that filters; after everything that filters.
FIRST, LAST = -1000, 1_000_000
SSH, DNS, HTTP, HTTPS = 22, 53, 80, 443
# A public address: firewalls drop what goes to reserved ones. No probe gets there.
WORLD = IPv4Address("1.1.1.1")
ARRIVAL_SECONDS = 3.0  # until the bridge passes on what the tap sends; some milliseconds as a rule
PASSAGE_SECONDS = 0.5  # from then on; a filter in user space, by NFQUEUE, may take a while
POLL_SECONDS = 0.02
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000  # linux/if_tun.h
ARRIVED = "arrived"


@dataclass(frozen=True)
class Passage:
    """Which kinds of packets passed the firewall; None if that could not be tried."""

    dhcp: bool | None = None  # a request for an address
    dns: bool | None = None  # a query to the host's resolver for instances
    world: bool | None = None  # any packet to a public address
    ssh: bool | None = None  # from the host to the guest


def attempt(
    tap: str, bridge: str, address: IPv4Address, gateway: IPv4Address, outside: bool
) -> Passage:
    """With the tap of a guest that does not run, on a bridge that is up; `outside`: does the host
    have a route to the world? Never fails."""
    mac = bytes([0x0A, *os.urandom(5)])  # locally administered: no guest's
    try:
        frames = _frames(bridge, mac, address, gateway)
        wanted = set(frames if outside else frames.keys() - {"world"})
        with _counting(bridge, mac, address), _opened(tap) as wire:
            _connect(address)
            counts = _sent(wire, [frame for name in wanted for frame in frames[name]], wanted)
    except (NetworkFailure, OSError, ValueError, KeyError, TypeError):
        return Passage()
    if not counts[ARRIVED]:
        return Passage()
    return Passage(**{name: counts[name] > 0 for name in (*wanted, "ssh")})


def _connect(address: IPv4Address) -> None:
    """Start to connect: our table drops the packet before it leaves the host."""
    with socket.socket() as end:
        end.setblocking(False)
        with suppress(OSError):
            end.connect((str(address), SSH))


def _frames(
    bridge: str, mac: bytes, address: IPv4Address, gateway: IPv4Address
) -> dict[str, list[bytes]]:
    """Frames by the field of Passage that they are for. Raises OSError."""
    host = bytes.fromhex((NET / bridge / "address").read_text().strip().replace(":", ""))
    return {
        "dhcp": [packets.dhcp_request(mac)],
        "dns": [packets.datagram(host, mac, address, gateway, DNS)],
        "world": [  # several, as a host may let out only some
            packets.connection(host, mac, address, WORLD, HTTPS),
            packets.connection(host, mac, address, WORLD, HTTP),
            packets.datagram(host, mac, address, WORLD, DNS),
            packets.datagram(host, mac, address, WORLD, HTTPS),
        ],
    }


def _sent(wire: int, frames: list[bytes], wanted: set[str]) -> Mapping[str, int]:
    """Send the frames until all that is wanted has passed or the time is over; returns the
    counters."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    arrived = False
    while True:
        for frame in frames:
            with suppress(OSError):  # the device is not up yet
                os.write(wire, frame)
        counts = _counts()
        if all(counts[name] for name in wanted) or time.monotonic() > deadline:
            return counts
        if counts[ARRIVED] and not arrived:
            arrived, deadline = True, time.monotonic() + PASSAGE_SECONDS
        time.sleep(POLL_SECONDS)


def _counts() -> dict[str, int]:
    """Raises NetworkFailure, ValueError."""
    said = tools.listed("nft", "-j", "list", "counters", "table", "inet", TABLE)
    found = (entry["counter"] for entry in said["nftables"] if "counter" in entry)
    return {counter["name"]: counter["packets"] for counter in found}


@contextmanager
def _counting(bridge: str, mac: bytes, address: IPv4Address) -> Iterator[None]:
    """Have a table that counts the probes. Raises NetworkFailure."""
    tools.run("nft", "-f", "-", given=ruleset(bridge, mac.hex(":"), address))
    try:
        yield
    finally:
        with suppress(NetworkFailure):
            tools.run("nft", "delete", "table", "inet", TABLE)


def ruleset(bridge: str, mac: str, address: IPv4Address) -> str:
    """Input of `nft -f`. Pure. Replaces a table that a killed service left. It matches `mac` only,
    which is no guest's, and SSH to a guest that does not run yet."""
    ours = f'iifname "{bridge}" ether saddr {mac}'
    names = (ARRIVED, "dhcp", "dns", "world", "ssh")
    return (
        f"table inet {TABLE}\n"
        f"delete table inet {TABLE}\n"
        f"table inet {TABLE} {{\n"
        + "".join(f"  counter {name} {{ }}\n" for name in names)
        + "  chain arriving {\n"
        f"    type filter hook prerouting priority {FIRST}; policy accept;\n"
        f'    {ours} counter name "{ARRIVED}"\n'
        "  }\n"
        "  chain input {\n"
        f"    type filter hook input priority {LAST}; policy accept;\n"
        f'    {ours} udp dport {packets.BOOTP_SERVER} counter name "dhcp" drop\n'
        f'    {ours} udp dport {DNS} counter name "dns" drop\n'
        "  }\n"
        "  chain forward {\n"
        f"    type filter hook forward priority {LAST}; policy accept;\n"
        f'    {ours} counter name "world" drop\n'
        "  }\n"
        "  chain output {\n"
        f"    type filter hook output priority {LAST}; policy accept;\n"
        f'    oifname "{bridge}" ip daddr {address} tcp dport {SSH} counter name "ssh" drop\n'
        "  }\n"
        "}\n"
    )


@contextmanager
def _opened(tap: str) -> Iterator[int]:
    """The tap, opened as by a hypervisor: what is written arrives as from the guest. Raises
    OSError."""
    descriptor = os.open(TUN, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        wanted = struct.pack("16sH22x", tap.encode(), IFF_TAP | IFF_NO_PI)
        fcntl.ioctl(descriptor, TUNSETIFF, wanted)
        yield descriptor
    finally:
        os.close(descriptor)
