"""All sockets of the service: those of the service manager and those that it was asked for."""

from __future__ import annotations

import resource

from multipassd.transport import listener
from multipassd.transport.listener import Listener
from protocol.addresses import Address, UnixAddress

DESCRIPTORS = 65536  # connections, and room for files


def open_all(addresses: list[Address], default: str) -> tuple[list[Listener], int]:
    """`default`: the path of the socket where there is neither. With the administrators' group.
    Raises ListenError."""
    listeners = listener.inherited()
    group = next((each.group for each in listeners if each.group), 0) or listener.admin_group()
    taken = {each.path for each in listeners if each.path}
    wanted = addresses or ([] if listeners else [UnixAddress(default)])
    try:
        for address in wanted:
            if not (isinstance(address, UnixAddress) and address.path in taken):
                listeners += listener.bind(address, group)
    except listener.ListenError:
        for each in listeners:
            each.close()
        raise
    return listeners, group


def raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
