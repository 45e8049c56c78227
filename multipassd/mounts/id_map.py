"""User or group ids of the host and what they are in the guest, both ways. Pure."""

from __future__ import annotations

from collections.abc import Iterable

NOBODY = 65534
UNCHANGED = 0xFFFFFFFF  # in a request to change an owner: leave this id as it is


class NoSuchId(Exception):
    """The guest names an id that stands for none on the host."""


class IdMap:
    """One-to-one pairs. An id without a pair is the same on both sides, except where that number
    stands for another id already: such an id of the host is shown as NOBODY, and such an id of the
    guest stands for none. An id of the guest that has several pairs stands for the last."""

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        """`pairs`: (id on the host, id in the guest)."""
        self._to_guest = dict(pairs)
        self._to_host = {guest: host for host, guest in self._to_guest.items()}

    def to_guest(self, host: int) -> int:
        if host in self._to_guest:
            return self._to_guest[host]
        return NOBODY if host in self._to_host else host

    def to_host(self, guest: int) -> int:
        """Raises NoSuchId."""
        if guest in self._to_host:
            return self._to_host[guest]
        if guest in self._to_guest:
            raise NoSuchId(guest)
        return guest
