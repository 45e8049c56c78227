"""Refusals: the first of a kind is a record, the rest are counted and summed up once a minute, so
that no flood of them can push older records out of the journal.
"""

from __future__ import annotations

from multipassd.audit import record
from multipassd.audit.event import Event
from multipassd.audit.record import NOBODY, Actor, printable

KINDS = 4096  # of refusals told apart; at 300 bytes each, 1 MB of first records a day
KINDS_OF_A_UID = 256  # so that one user with ever new certificates does not take all of them
FORGET_AFTER = 24 * 3600.0  # then a refusal of the kind is news again
SHOWN = 8  # kinds told apart in a summary, the most frequent ones

Kind = tuple[int | None, str, str]  # uid, fingerprint, reason


class _Count:
    __slots__ = "first", "last", "repeated"

    def __init__(self, first: Actor, now: float) -> None:
        self.first = first
        self.repeated = 0  # since the last summary, the record of the first not counted
        self.last = now


class Refusals:
    """Counts them by kind."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, _Count] = {}
        self._kinds_of: dict[int | None, int] = {}
        self._others = 0  # refusals since the last summary that had no room in the table

    def add(self, by: Actor, reason: str, now: float) -> None:
        kind = (by.uid, by.fingerprint, reason)
        count = self._kinds.get(kind)
        if count is not None:
            count.repeated += 1
            count.last = now
        elif len(self._kinds) >= KINDS or self._kinds_of.get(by.uid, 0) >= KINDS_OF_A_UID:
            self._others += 1
        else:
            self._kinds[kind] = _Count(by, now)
            self._kinds_of[by.uid] = self._kinds_of.get(by.uid, 0) + 1
            text = f"refused {by}: {printable(reason)}"
            fields = {**record.by(by), "MULTIPASS_REASON": printable(reason)}
            record.write(Event.DENIED, text, by, {**fields})

    def begin(self, now: float) -> None:
        """The clock starts, or was set back."""
        for count in self._kinds.values():
            count.last = now

    def summarise(self) -> None:
        repeated = [(kind, count) for kind, count in self._kinds.items() if count.repeated]
        total = sum(count.repeated for _, count in repeated) + self._others
        if not total:
            return
        repeated.sort(key=lambda entry: -entry[1].repeated)
        parts = [_describe(kind, count) for kind, count in repeated[:SHOWN]]
        others = total - sum(count.repeated for _, count in repeated[:SHOWN])
        if others:
            parts.append(f"{others} of others")
        text = f"refused {total} more calls: {'; '.join(parts)}"
        record.write(Event.DENIED, text, NOBODY, {"MULTIPASS_COUNT": str(total)})
        self._others = 0
        for count in self._kinds.values():
            count.repeated = 0

    def forget(self, now: float) -> None:
        old = [kind for kind, count in self._kinds.items() if now - count.last > FORGET_AFTER]
        for kind in old:
            del self._kinds[kind]
            self._kinds_of[kind[0]] -= 1
            if not self._kinds_of[kind[0]]:
                del self._kinds_of[kind[0]]


def _describe(kind: Kind, count: _Count) -> str:
    uid, _, reason = kind
    caller = str(count.first) if uid is None else f"{count.first}, uid {uid}"
    return f"{count.repeated} of {caller} ({printable(reason)})"
