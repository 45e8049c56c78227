"""Which connections may be there at a time: caps for all and for each person, and beyond them a few
that may yet prove to be trusted clients. Pure."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Protocol

from multipassd.transport.quota import limits


class Standing(Enum):
    """How a connection is counted."""

    REGULAR = "within the caps"
    PROVISIONAL = "beyond a cap, until its handshake tells"
    PROVEN = "beyond a cap, and trusted"


class Member(Protocol):
    def abort(self) -> None: ...


class Admission:
    """Everyone who was admitted, with the person that is charged."""

    def __init__(self) -> None:
        self._members: dict[Member, tuple[str, Standing]] = {}
        self._counts: Counter[tuple[str, Standing]] = Counter()
        self._provisional: dict[Member, str] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._members)

    def has_room(self) -> bool:
        """Else even a trusted client has to wait until a connection ends."""
        return len(self._members) < limits.CONNECTIONS

    def standing(self, person: str, *, admin: bool, root: bool) -> Standing:
        """How the person's next connection is to be admitted."""
        crowded = len(self._members) >= limits.CONNECTIONS - limits.RESERVED_CONNECTIONS
        held = self._counts[person, Standing.REGULAR]
        at_cap = held >= limits.CONNECTIONS_PER_PERSON and not root
        return Standing.PROVISIONAL if at_cap or (crowded and not admin) else Standing.REGULAR

    def admit(self, member: Member, person: str, standing: Standing) -> None:
        if standing is Standing.PROVISIONAL:
            self._make_room(person)
            self._provisional[member] = person
        self._count(member, person, standing)

    def settle(self, member: Member, trusted: bool) -> bool:
        """The handshake told whether it is trusted: may it stay?"""
        person = self._provisional.pop(member, None)
        if person is None:
            return True
        proven = self._counts[person, Standing.PROVEN]
        if not trusted or proven >= limits.CONNECTIONS_PER_PERSON:
            return False
        self.remove(member)
        self._count(member, person, Standing.PROVEN)
        return True

    def remove(self, member: Member) -> bool:
        """It ended; False if it was not there any more."""
        self._provisional.pop(member, None)
        key = self._members.pop(member, None)
        if key is None:
            return False
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
        return True

    def _count(self, member: Member, person: str, standing: Standing) -> None:
        self._members[member] = person, standing
        self._counts[person, standing] += 1

    def _make_room(self, person: str) -> None:
        """Holding a handshake open keeps the place only until others of the person need it, or of
        all when it is the person with most."""
        by_person = Counter(self._provisional.values())
        if by_person[person] >= limits.PROVISIONAL_PER_PERSON:
            self._displace(person)
        elif len(self._provisional) >= limits.PROVISIONAL_CONNECTIONS:
            self._displace(by_person.most_common(1)[0][0])

    def _displace(self, person: str) -> None:
        oldest = next(member for member, who in self._provisional.items() if who == person)
        del self._provisional[oldest]
        oldest.abort()
