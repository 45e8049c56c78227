"""How many records of deeds one person may have written: more are counted, and summed up once a
minute, so that nobody's deeds can push older records out of the journal.

What is cheap to repeat (a start of what runs, what is refused) has an allowance apart from what
changes something, so that no flood of the one hides the other.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from multipassd.audit import record
from multipassd.audit.event import Event
from multipassd.audit.record import VALUES, Actor

# A record takes about 1 KB: a person who never pauses writes 40 MB a day of each kind, where
# journald keeps up to 4 GB. A purge of 500 instances is a record each.
ALLOWANCE = 500  # records at once
PER_MINUTE = 30  # more, as long as it is not full
# Of all persons together: journald drops what a service sends beyond 10,000 records in 30 seconds,
# and may then drop those of trust, too.
IN_ALL = 2500  # records at once, of each kind
IN_ALL_PER_MINUTE = 1500
SUMMARIES = 250  # a minute, a person each; others wait for the next
SHOWN = 8  # kinds of deeds told apart in a summary, those that change something first
KINDS = 32  # counted apart, for each person: at most 25 KB of memory each
NAMES = 4  # of instances, in a kind

CHEAP = ("start", "stop", "suspend", "restart", "access")


class Kind(NamedTuple):
    """What counts as the same deed, done again."""

    lasting: bool
    verb: str
    instances: tuple[str, ...]
    outcome: str


class _Person:
    __slots__ = "kinds", "last", "left", "others"

    def __init__(self) -> None:
        self.left: dict[bool, float] = {True: ALLOWANCE, False: ALLOWANCE}
        self.kinds: dict[Kind, int] = {}
        self.others = 0  # that had no room among the kinds
        self.last: Actor = record.NOBODY


class Budget:
    """Who may still have how many records. A person without an entry has the whole allowance."""

    def __init__(self) -> None:
        self._persons: dict[str, _Person] = {}
        self._left: dict[bool, float] = {True: IN_ALL, False: IN_ALL}

    def allows(self, by: Actor, kind: Kind) -> bool:
        """Else it is counted, and the next summary tells it."""
        person = self._persons.setdefault(by.person, _Person())
        if person.left[kind.lasting] >= 1 and self._left[kind.lasting] >= 1:
            person.left[kind.lasting] -= 1
            self._left[kind.lasting] -= 1
            return True
        person.last = by
        if kind in person.kinds or len(person.kinds) < KINDS:
            person.kinds[kind] = person.kinds.get(kind, 0) + 1
        else:
            person.others += 1
        return False

    def refill(self, minutes: float) -> None:
        for lasting, left in self._left.items():
            self._left[lasting] = min(left + IN_ALL_PER_MINUTE * minutes, IN_ALL)
        for name, person in list(self._persons.items()):
            for lasting, left in person.left.items():
                person.left[lasting] = min(left + PER_MINUTE * minutes, ALLOWANCE)
            full = all(left >= ALLOWANCE for left in person.left.values())
            if full and not person.kinds:
                del self._persons[name]

    def summarise(self) -> None:
        exceeding = (person for person in self._persons.values() if person.kinds)
        for person in itertools.islice(exceeding, SUMMARIES):
            _write(person)
            person.kinds, person.others = {}, 0


def _write(person: _Person) -> None:
    ordered = sorted(person.kinds.items(), key=lambda each: (not each[0].lasting, -each[1]))
    shown = ordered[:SHOWN]
    total = sum(person.kinds.values()) + person.others
    others = total - sum(times for _, times in shown)
    parts = [f"{times} of {_described(kind)}" for kind, times in shown]
    if others:
        parts.append(f"{others} of other kinds")
    names = dict.fromkeys(name for kind, _ in ordered for name in kind.instances)
    text = f"{total} more deeds of {person.last} in a minute: {'; '.join(parts)}"
    fields: dict[str, str | tuple[str, ...]] = {
        **record.by(person.last),
        "MULTIPASS_COUNT": str(total),
        "MULTIPASS_VERB": tuple(dict.fromkeys(kind.verb for kind, _ in ordered)),
    }
    if names:
        fields["MULTIPASS_INSTANCE"] = tuple(names)[:VALUES]
    record.write(Event.REPEATED, text, person.last, fields)


def _described(kind: Kind) -> str:
    on = f" {', '.join(kind.instances[:SHOWN])}" if kind.instances else ""
    return f"{kind.verb}{on} ({kind.outcome})"
