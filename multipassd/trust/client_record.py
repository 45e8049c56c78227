"""The record of one client, from and to an event of the side file, and when it was seen. Pure."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from multipassd.trust import names
from protocol.roles import Role, parse

BY_HAND = "by hand"
SEEN_EVERY = 3600.0  # seconds between two "seen" events of a client: one line an hour at most

TEXT_LIMIT = 200  # characters of a name: more is no name


class ClientRecord(NamedTuple):
    """What is known of one client beside its certificate; times in seconds since the epoch."""

    fingerprint: str
    name: str = ""
    how: str = BY_HAND
    uid: int | None = None
    enrolled_at: float | None = None
    last_seen: float | None = None
    role: Role | None = Role.ADMIN  # None: one that this version does not know


class Sightings:
    """When clients called last, and what the side file has of that."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._written: dict[str, float] = {}

    def note(self, fingerprint: str, at: float) -> None:
        self._seen[fingerprint] = at

    def forget(self, fingerprint: str) -> None:
        self._seen.pop(fingerprint, None)

    def due(self, everything: bool) -> list[tuple[str, float]]:
        """What is to be written: once an hour, or all that is new."""
        return [
            (who, at)
            for who, at in list(self._seen.items())
            if self._is_due(who, at) or (everything and self._written[who] != at)
        ]

    def written(self, sightings: Iterable[tuple[str, float]]) -> None:
        self._written.update(sightings)

    def added_to(self, record: ClientRecord) -> ClientRecord:
        """The record with the last sighting, if that is later than the file's."""
        seen = self._seen.get(record.fingerprint)
        if seen is None or (record.last_seen is not None and record.last_seen > seen):
            return record
        return record._replace(last_seen=seen)

    def _is_due(self, fingerprint: str, at: float) -> bool:
        written = self._written.get(fingerprint)
        # A distance, not a difference: the clock may have been set back.
        return written is None or abs(at - written) >= SEEN_EVERY


def unknown(fingerprint: str) -> ClientRecord:
    """Of a client of which no more than its certificate is known."""
    return ClientRecord(fingerprint, names.of_fingerprint(fingerprint))


def as_event(record: ClientRecord) -> dict[str, Any]:
    return {
        "event": "enrolled",
        "fingerprint": record.fingerprint,
        "at": record.enrolled_at,
        "how": record.how,
        "uid": record.uid,
        "name": record.name,
        "seen": record.last_seen,
    } | role_entry(record.role)


def renewing(record: ClientRecord, new: str) -> dict[str, Any]:
    """A certificate is about to take the place of this one, with all that is on record of it."""
    event = as_event(record._replace(fingerprint=new))
    return event | {"event": "renewing", "of": record.fingerprint}


def role_entry(role: Role | None) -> dict[str, str]:
    """An enrolment without it, as earlier versions wrote them, is an admin's."""
    return {} if role is Role.ADMIN else {"role": "unknown" if role is None else str(role)}


def as_record(fingerprint: str, event: dict[str, Any]) -> ClientRecord:
    uid = event.get("uid")
    return ClientRecord(
        fingerprint=fingerprint,
        name=_text(event.get("name"), "") or names.of_fingerprint(fingerprint),
        how=_text(event.get("how"), BY_HAND),
        uid=uid if type(uid) is int else None,
        enrolled_at=moment(event.get("at")),
        last_seen=moment(event.get("seen")),
        role=parse(event.get("role", "admin")),
    )


def _text(value: object, otherwise: str) -> str:
    """The file may come from elsewhere: nothing in it must reach a terminal as a control code."""
    if not isinstance(value, str):
        return otherwise
    return "".join(each if each.isprintable() else "?" for each in value[:TEXT_LIMIT])


def moment(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with_fraction = float(value) if abs(value) < 1e15 else math.inf
        return with_fraction if math.isfinite(with_fraction) else None
    return None
