"""Addresses of members of a cluster, `host:port`, which a token or the cluster names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_ADDRESSES = 64  # a cluster has up to 50 members; each address may cost a try to connect
MAX_ADDRESS = 270  # characters: a host name's 253, the brackets, the port

_FORM = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})))(?::(\d{1,5}))?"
)
DEFAULT_PORT = 8443


def read(text: str) -> tuple[str, int] | None:
    """Host and port; None for what is no address."""
    found = _FORM.fullmatch(text) if len(text) <= MAX_ADDRESS else None
    if found is None:
        return None
    port = int(found[3] or DEFAULT_PORT)
    return (found[1] or found[2], port) if 0 < port < 1 << 16 else None


def is_address(text: str) -> bool:
    return read(text) is not None


def canonical(text: str) -> str:
    """With its port. Raises ValueError."""
    found = read(text)
    if found is None:
        raise ValueError("it is no host:port")
    host, port = found
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def usable(texts: Iterable[object]) -> tuple[str, ...]:
    """Those that are addresses, each once, no more than MAX_ADDRESSES. A URL's is taken."""
    found: dict[str, None] = {}
    for text in texts:
        plain = text.removeprefix("https://").rstrip("/") if isinstance(text, str) else ""
        if is_address(plain):
            found[canonical(plain)] = None
        if len(found) == MAX_ADDRESSES:
            break
    return tuple(found)
