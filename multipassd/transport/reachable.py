"""Names and addresses that clients over TCP may reach the service by."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from multipassd.transport.listener import Listener
from protocol.addresses import Address, TcpAddress

LOCALHOST = "localhost"


def names(addresses: Sequence[Address], listeners: Sequence[Listener]) -> list[str]:
    """The names beside localhost that the server's certificate is to be valid for.

    A service that listens on all addresses has the host's name: its addresses may change at any
    time, and clients of Multipass check for localhost alone.
    """
    asked = {each.host for each in addresses if isinstance(each, TcpAddress)}
    named = asked | {_host(each) for each in listeners if not each.path}
    if any(_is_unspecified(each) for each in named):
        named.add(_host_name())
    return sorted(each for each in named - {"", LOCALHOST} if not _is_unspecified(each))


def from_other_machines(listeners: Sequence[Listener]) -> str:
    """HOST:PORT for a client on another machine; empty if there is none that it could use."""
    for each in listeners:
        host = "" if each.path else _host(each)
        if not host or _is_loopback(host):
            continue
        if _is_unspecified(host):
            host = _host_name()
        if host:
            return str(TcpAddress(host, each.socket.getsockname()[1]))
    return ""


def _host(each: Listener) -> str:
    return str(each.socket.getsockname()[0])


def _host_name() -> str:
    name = socket.gethostname()
    return name if name.isascii() and name != LOCALHOST else ""


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
