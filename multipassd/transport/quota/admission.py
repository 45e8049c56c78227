"""Connection caps: in all and for each person, and beyond them a few that may prove to be trusted
clients. Pure."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Protocol

from multipassd.auth.standing import Standing
from multipassd.transport.quota import limits


class Slot(Enum):
    """How a connection is counted."""

    REGULAR = "within the caps"
    PROVISIONAL = "beyond a cap, until its handshake tells"
    PROVEN = "beyond a cap, and trusted"


class Member(Protocol):
    """An admitted connection."""

    def abort(self) -> None: ...


class Admission:
    """Everyone who was admitted, with the person that is charged."""

    def __init__(self) -> None:
        self._members: dict[Member, tuple[str, Slot]] = {}
        self._counts: Counter[tuple[str, Slot]] = Counter()
        self._provisional: dict[Member, str] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._members)

    def has_room(self) -> bool:
        """Else even a trusted client has to wait until a connection ends."""
        return len(self._members) < limits.CONNECTIONS

    def slot(self, person: str, standing: Standing) -> Slot:
        """How the person's next connection is to be admitted."""
        crowded = len(self._members) >= limits.CONNECTIONS - limits.RESERVED_CONNECTIONS
        held = self._counts[person, Slot.REGULAR]
        at_cap = held >= limits.CONNECTIONS_PER_PERSON and not standing.root
        return Slot.PROVISIONAL if at_cap or (crowded and not standing.admin) else Slot.REGULAR

    def admit(self, member: Member, person: str, slot: Slot) -> None:
        if slot is Slot.PROVISIONAL:
            self._make_room(person)
            self._provisional[member] = person
        self._count(member, person, slot)

    def confirm(self, member: Member, standing: Standing) -> bool:
        """The handshake is over and showed the member's standing: may it stay?"""
        person = self._provisional.pop(member, None)
        if person is None:
            return True
        proven = self._counts[person, Slot.PROVEN]
        if not standing.trusted or proven >= limits.CONNECTIONS_PER_PERSON:
            return False
        self.remove(member)
        self._count(member, person, Slot.PROVEN)
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

    def _count(self, member: Member, person: str, slot: Slot) -> None:
        self._members[member] = person, slot
        self._counts[person, slot] += 1

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
