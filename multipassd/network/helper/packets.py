"""Ethernet frames as a guest sends them, for probing a firewall. Pure."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

IPV4 = 0x0800
TCP, UDP = 6, 17
# Forwarding takes one, so that a probe that leaves the host ends at the next router.
TTL = 2
SYN = 0x02
CLIENT_PORT = 50123  # any; the source of a TCP or UDP probe
BROADCAST = b"\xff" * 6
ANY, ALL = IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")
BOOTP_CLIENT, BOOTP_SERVER = 68, 67
BOOTP_REQUEST = b"\x01\x01\x06" + bytes(233)  # RFC 951: a request, Ethernet, no other field set


def dhcp_request(mac: bytes) -> bytes:
    """A broadcast, from a guest that has no address yet."""
    content = _udp(BOOTP_CLIENT, BOOTP_SERVER, BOOTP_REQUEST)
    return _frame(BROADCAST, mac, _ip(ANY, ALL, UDP, content))


def datagram(to: bytes, mac: bytes, source: IPv4Address, target: IPv4Address, port: int) -> bytes:
    """UDP; `to` and `mac` are Ethernet addresses."""
    return _frame(to, mac, _ip(source, target, UDP, _udp(CLIENT_PORT, port, b"")))


def connection(to: bytes, mac: bytes, source: IPv4Address, target: IPv4Address, port: int) -> bytes:
    """The first packet of TCP's handshake."""
    header = struct.pack("!HHIIBBHHH", CLIENT_PORT, port, 1, 0, 5 << 4, SYN, 1024, 0, 0)
    pseudo = struct.pack("!4s4sHH", source.packed, target.packed, TCP, len(header))
    # A wrong sum would make connection tracking call it invalid, which firewalls drop.
    summed = header[:16] + struct.pack("!H", _checksum(pseudo + header)) + header[18:]
    return _frame(to, mac, _ip(source, target, TCP, summed))


def _frame(to: bytes, mac: bytes, packet: bytes) -> bytes:
    return to + mac + struct.pack("!H", IPV4) + packet


def _ip(source: IPv4Address, target: IPv4Address, protocol: int, content: bytes) -> bytes:
    size = 20 + len(content)
    start = struct.pack("!BBHHHBB", 0x45, 0, size, 0, 0, TTL, protocol)
    ends = source.packed + target.packed
    return start + struct.pack("!H", _checksum(start + bytes(2) + ends)) + ends + content


def _udp(source: int, target: int, content: bytes) -> bytes:
    """Without a checksum, which IPv4 allows."""
    return struct.pack("!HHHH", source, target, 8 + len(content), 0) + content


def _checksum(data: bytes) -> int:
    """RFC 1071, of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
