"""What the server of one mount is asked for: the request's fields, written and read. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from protocol import names

MAX_REQUEST = 64 << 10  # bytes: paths of 4 KiB, and the pairs of the maps
MOST_PAIRS = 1000  # of a map
MAX_TEXT = 8192  # characters of one field
MAX_ID = 0xFFFFFFFE
MAX_PORT = 65535

Pairs = tuple[tuple[int, int], ...]  # of ids: on the host, in the guest


@dataclass(frozen=True)
class Order:
    """One mount: which directory, for whom, and where it goes."""

    storage: str  # of the service that asks
    instance: str
    target: str  # as it was given; tells the mounts of an instance apart
    path: str  # in the guest, where that leads
    source: str
    uid: int
    gid: int
    uids: Pairs
    gids: Pairs
    host: str  # of the guest's SSH server
    port: int
    host_key: str
    user: str  # to log in as
    native: bool = False  # by virtiofs: nothing logs in

    @property
    def socket(self) -> str:
        return socket_name(self.storage, self.instance, self.target)

    @property
    def tag(self) -> str:
        return tag(self.storage, self.instance, self.target)

    def message(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> Order:
        """Raises ValueError, TypeError, KeyError for what no service asks for."""
        found: dict[str, Any] = {}
        for field in fields(cls):
            found[field.name] = _READERS[field.type](message[field.name])  # type: ignore[index]
        order = cls(**found)
        if not names.valid(order.instance) or not 0 < order.port <= MAX_PORT:
            raise ValueError("no instance that could be reached")
        if order.host.startswith("-") or order.user.startswith("-") or "\n" in order.host_key:
            raise ValueError("no place to log in to")
        return order


def socket_name(storage: str, instance: str, target: str) -> str:
    """Of the control socket of this mount's server."""
    return f"{instance}.{_digest(storage, instance, target)}"


def tag(storage: str, instance: str, target: str) -> str:
    """What the guest's table of mounts calls the file system."""
    return f"multipass-{_digest(storage, instance, target)}"


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or "\0" in value:
        raise ValueError("no text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= MAX_ID:
        raise ValueError("no id or port")
    return value


def _pairs(value: object) -> Pairs:
    if not isinstance(value, list) or len(value) > MOST_PAIRS:
        raise ValueError("no list of pairs")
    return tuple((_number(host), _number(guest)) for host, guest in value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("no flag")
    return value


_READERS = {"bool": _flag, "str": _text, "int": _number, "Pairs": _pairs}
