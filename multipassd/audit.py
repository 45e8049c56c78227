"""The audit trail: who was trusted, refused, changed what. Nobody can flush the journal with it.

Grants, removals and changes are one record each, always. Of denials the first of each kind is a
record; the rest are counted and summed up once a minute. Never a passphrase, a hash or a key.
"""

from __future__ import annotations

import logging
from collections import Counter
from enum import Enum

from multipassd import log

SUMMARY_INTERVAL = 60.0  # seconds
KINDS = 4096  # of denials remembered between two summaries; what comes above is one more kind

_log = log.get("audit")

Kind = tuple[int | None, str, str]  # uid, fingerprint, reason
_OTHERS: Kind = (None, "", "others")


class Event(Enum):
    """What happened, with the id under which the journal's catalogue explains it."""

    GRANTED = "6d9df0a1f3f3483c8f2a9a2a3b1f7c10"
    REMOVED = "0b0f6cbb6d4c4f4f8b7bb6cf27b0a3d2"
    CHANGED = "f2b7f6e0a8f94f35a9cde2c1a4b2d6e3"
    DENIED = "c3a8c1d96a5f4f64b1a1f0d5a6e7b8f4"


class Audit:
    def __init__(self) -> None:
        self._denials: Counter[Kind] = Counter()  # those since the record of their first
        self._next_summary: float | None = None

    def granted(self, fingerprint: str, uid: int | None, how: str) -> None:
        _record(Event.GRANTED, f"trusts {_name(fingerprint)} from now on ({how})", fingerprint, uid)

    def removed(self, fingerprint: str, uid: int | None) -> None:
        _record(Event.REMOVED, f"no longer trusts {_name(fingerprint)}", fingerprint, uid)

    def changed(self, key: str, uid: int | None, fingerprint: str) -> None:
        """A setting; its value is not told."""
        _record(Event.CHANGED, f"{_printable(key)} was changed", fingerprint, uid)

    def denied(self, uid: int | None, fingerprint: str, reason: str) -> None:
        kind = (uid, fingerprint, reason)
        if kind not in self._denials and len(self._denials) >= KINDS:
            kind = _OTHERS
        if kind in self._denials:
            self._denials[kind] += 1
            return
        self._denials[kind] = 0
        _record(Event.DENIED, f"refused {_name(fingerprint)}: {reason}", fingerprint, uid)

    def tick(self, now: float) -> None:
        """Sum up once a minute. `now` is in seconds of any clock; one set back only waits anew."""
        due = self._next_summary
        if due is None or now < due - SUMMARY_INTERVAL:
            self._next_summary = now + SUMMARY_INTERVAL
        elif now >= due:
            self._next_summary = now + SUMMARY_INTERVAL
            self.summarise()

    def summarise(self) -> None:
        repeated = sum(self._denials.values())
        if repeated:
            kinds = sum(1 for count in self._denials.values() if count)
            callers = "one caller" if kinds == 1 else f"{kinds} callers"
            _record(Event.DENIED, f"refused {repeated} more calls of {callers}", "", None)
        self._denials.clear()


def _record(event: Event, text: str, fingerprint: str, uid: int | None) -> None:
    fields = {"MULTIPASS_EVENT": event.name.lower()}
    if fingerprint:
        fields["MULTIPASS_CLIENT"] = fingerprint
    if uid is not None:
        fields["MULTIPASS_UID"] = str(uid)
        text += f", uid {uid}"
    level = logging.WARNING if event is Event.DENIED else logging.INFO
    _log.log(level, "%s", text, extra={"fields": fields, "message_id": event.value})


def _name(fingerprint: str) -> str:
    return f"client {fingerprint[:16]}" if fingerprint else "a client without certificate"


def _printable(text: str) -> str:
    """Foreign text on one line, without control characters."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:200])
