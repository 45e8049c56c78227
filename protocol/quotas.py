"""Quotas: how much one person may have, by settings `local.quota.<role or name>.<kind>`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from protocol import roles, sizes
from protocol.roles import Role

PREFIX = "local.quota."
UNLIMITED = "unlimited"
MAX_DIGITS = 9  # of a count

KINDS = ("instances", "cpus", "memory", "disk", "snapshots", "networks")
SIZES = frozenset({"memory", "disk"})  # in bytes; the others are counts

GIB = 1 << 30
_UNITS = ((GIB, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))
# Enough for the work of one person on a server, and bounded: a user with root in its guests can
# fill every disk that it has, and each snapshot keeps as much again. A host network is the host's
# own, so no user is on one before an administrator has allowed it.
OF_USERS: Mapping[str, int] = {
    "instances": 10,
    "cpus": 16,
    "memory": 32 * GIB,
    "disk": 200 * GIB,
    "snapshots": 50,
    "networks": 0,
}
DEFAULTS: Mapping[Role, Mapping[str, int]] = {
    Role.ADMIN: {},  # as Multipass 1.16, whose clients are all admins
    Role.USER: OF_USERS,
    Role.VIEWER: dict.fromkeys(KINDS, 0),  # makes nothing
}


class Key(NamedTuple):
    """The key of a setting: `who` is a role, or else the name of a person."""

    text: str
    who: str
    kind: str

    @property
    def role(self) -> Role | None:
        return roles.parse(self.who)


def read_key(text: str) -> Key | None:
    """None for a key that is none of a quota."""
    who, point, kind = text.removeprefix(PREFIX).rpartition(".")
    if not text.startswith(PREFIX) or not point or not who or kind not in KINDS:
        return None
    return Key(text, who, kind)


def key(who: str, kind: str) -> str:
    return f"{PREFIX}{who}.{kind}"


def parse(kind: str, text: str) -> int | None:
    """A count, or bytes; None for no limit. Raises ValueError with what is wrong."""
    if text.strip().lower() == UNLIMITED:
        return None
    if kind in SIZES:
        try:
            return sizes.parse(text)
        except sizes.SizeError as error:
            raise ValueError(str(error)) from None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ValueError(f"Need a number of {kind}, or '{UNLIMITED}'")
    return int(text)


def show(kind: str, amount: int | None) -> str:
    """As a person reads and sets it, exactly."""
    if amount is None:
        return UNLIMITED
    if kind not in SIZES:
        return str(amount)
    unit, name = next((unit, name) for unit, name in _UNITS if not amount % unit)
    return f"{amount // unit}{name}"
