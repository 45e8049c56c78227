"""Audit records in the journal: grants and removals of trust, refusals, changes of settings.

Grants, removals and changes are one record each, always. Refusals cost the caller nothing, so the
first of a kind is a record and the rest are counted and summed up once a minute: no flood of
refusals can push older records out of the journal. Never a passphrase, a hash, a key or the value
of a setting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from multipassd.system import log
from multipassd.trust import names
from multipassd.trust.client_record import BY_HAND
from multipassd.trust.manual_changes import Changes

KINDS = 4096  # of refusals told apart; at 300 bytes each, 1 MB of first records a day
KINDS_OF_A_UID = 256  # so that one user with ever new certificates does not take all of them
FORGET_AFTER = 24 * 3600.0  # then a refusal of the kind is news again
SUMMARY_INTERVAL = 60.0  # seconds
SHOWN = 8  # kinds told apart in a summary, the most frequent ones
TEXT_LIMIT = 200  # characters of foreign text

Kind = tuple[int | None, str, str]  # uid, fingerprint, reason
Identity = tuple[str, str]  # name and role; empty where the client is not trusted
UNKNOWN: Identity = ("", "")

_log = log.get("audit")


class Event(Enum):
    """What happened, with the id under which the journal's catalogue explains it: never change
    one, people query for them."""

    GRANTED = "6d9df0a1f3f3483c8f2a9a2a3b1f7c10"
    REMOVED = "0b0f6cbb6d4c4f4f8b7bb6cf27b0a3d2"
    CHANGED = "f2b7f6e0a8f94f35a9cde2c1a4b2d6e3"
    INVITED = "3f1c2b7e5d684a0f9b0e6a4d8c5f2e71"
    DENIED = "c3a8c1d96a5f4f64b1a1f0d5a6e7b8f4"
    STORE_DAMAGED = "ac351eddb4d341539d0b4e54d9c04b36"
    SETTINGS_UNUSABLE = "170a1bd3165a44a78a272267de3275ef"
    INSTANCE = "f93ba97a75774e1e8e847c86c0efaa63"


WARNINGS = (Event.DENIED, Event.STORE_DAMAGED, Event.SETTINGS_UNUSABLE)


@dataclass(slots=True)
class _Count:
    repeated: int  # since the last summary, the record of the first not counted
    last: float


class Audit:
    """One for the daemon; `tick` is to be called every few seconds. `identify`: who a certificate
    belongs to, by its fingerprint."""

    def __init__(self, identify: Callable[[str], Identity] = lambda _: UNKNOWN) -> None:
        self._identify = identify
        self._kinds: dict[Kind, _Count] = {}
        self._kinds_of: dict[int | None, int] = {}
        self._others = 0  # refusals since the last summary that had no room in the table
        self._now: float | None = None  # as of the last tick
        self._summed_at = 0.0

    def granted(self, fingerprint: str, uid: int | None, how: str) -> None:
        text = f"trusts {self._name(fingerprint)} from now on ({printable(how)})"
        self._record(Event.GRANTED, text, fingerprint, uid, MULTIPASS_HOW=printable(how))

    def removed(self, fingerprint: str, uid: int | None, was: Identity = UNKNOWN) -> None:
        """`was`: who it belonged to, which can't be found out any more."""
        text = f"no longer trusts {_name(fingerprint, was)}"
        _record(Event.REMOVED, text, fingerprint, uid, **_fields(was))

    def invited(self, name: str, role: str, uid: int | None, fingerprint: str) -> None:
        """Never the line."""
        text = f"{self._name(fingerprint)} invited {printable(name)} as {role}"
        self._record(Event.INVITED, text, fingerprint, uid, MULTIPASS_INVITED=printable(name))

    def by_hand(self, changes: Changes) -> None:
        """One record for each client that was added to the store or removed from it by hand."""
        added, removed = changes
        for fingerprint in sorted(added):
            self.granted(fingerprint, None, BY_HAND)
        for fingerprint in sorted(removed):
            self.removed(fingerprint, None)

    def changed(self, key: str, uid: int | None, fingerprint: str) -> None:
        """A setting; its value is not recorded."""
        text = f"{printable(key)} was changed by {self._name(fingerprint)}"
        self._record(Event.CHANGED, text, fingerprint, uid, MULTIPASS_SETTING=printable(key))

    def store_damaged(self, path: str, problem: str) -> None:
        """The trust store is damaged: no new client gets in until an administrator repairs it."""
        _record(Event.STORE_DAMAGED, problem, "", None, MULTIPASS_PATH=path)

    def settings_unusable(self, path: str, problem: str) -> None:
        _record(Event.SETTINGS_UNUSABLE, problem, "", None, MULTIPASS_PATH=path)

    def instance(self, action: str, name: str, uid: int | None, fingerprint: str) -> None:
        """`action`: launched, cloned (the new one), deleted, recovered or purged."""
        text = f"{name} was {action} by {self._name(fingerprint)}"
        more = {"MULTIPASS_INSTANCE": name, "MULTIPASS_ACTION": action}
        self._record(Event.INSTANCE, text, fingerprint, uid, **more)

    def mounts(self, action: str, instance: str, uid: int | None, fingerprint: str) -> None:
        """`action`: mounted in, unmounted from."""
        text = f"a directory was {action} {instance} by {self._name(fingerprint)}"
        more = {"MULTIPASS_INSTANCE": instance, "MULTIPASS_ACTION": action.split()[0]}
        self._record(Event.INSTANCE, text, fingerprint, uid, **more)

    def snapshot(
        self, action: str, instance: str, name: str, uid: int | None, fingerprint: str
    ) -> None:
        """`action`: taken, restored or deleted."""
        text = f"the snapshot {instance}.{name} was {action} by {self._name(fingerprint)}"
        more = {"MULTIPASS_INSTANCE": instance, "MULTIPASS_SNAPSHOT": name}
        self._record(Event.INSTANCE, text, fingerprint, uid, MULTIPASS_ACTION=action, **more)

    def denied(self, uid: int | None, fingerprint: str, reason: str) -> None:
        kind = (uid, fingerprint, reason)
        count = self._kinds.get(kind)
        if count is not None:
            count.repeated += 1
            count.last = self._now or 0.0
        elif len(self._kinds) >= KINDS or self._kinds_of.get(uid, 0) >= KINDS_OF_A_UID:
            self._others += 1
        else:
            self._kinds[kind] = _Count(0, self._now or 0.0)
            self._kinds_of[uid] = self._kinds_of.get(uid, 0) + 1
            text = f"refused {self._name(fingerprint)}: {printable(reason)}"
            self._record(Event.DENIED, text, fingerprint, uid, MULTIPASS_REASON=printable(reason))

    def tick(self, now: float) -> None:
        """Sum up once a minute. `now` is in seconds of any clock; one set back only waits anew."""
        if self._now is None or now < self._now:
            self._summed_at = now
            for count in self._kinds.values():
                count.last = now
        self._now = now
        if now - self._summed_at >= SUMMARY_INTERVAL:
            self._summed_at = now
            self.summarise()
            self._forget(now)

    def summarise(self) -> None:
        """Record what was counted since the last summary; also at the end of the daemon."""
        repeated = [(kind, count.repeated) for kind, count in self._kinds.items() if count.repeated]
        total = sum(times for _, times in repeated) + self._others
        if not total:
            return
        repeated.sort(key=lambda entry: -entry[1])
        parts = [self._describe(kind, times) for kind, times in repeated[:SHOWN]]
        others = total - sum(times for _, times in repeated[:SHOWN])
        if others:
            parts.append(f"{others} of others")
        text = f"refused {total} more calls: {'; '.join(parts)}"
        _record(Event.DENIED, text, "", None, MULTIPASS_COUNT=str(total))
        self._others = 0
        for count in self._kinds.values():
            count.repeated = 0

    def _forget(self, now: float) -> None:
        old = [kind for kind, count in self._kinds.items() if now - count.last > FORGET_AFTER]
        for kind in old:
            del self._kinds[kind]
            self._kinds_of[kind[0]] -= 1
            if not self._kinds_of[kind[0]]:
                del self._kinds_of[kind[0]]

    def _record(
        self, event: Event, text: str, fingerprint: str, uid: int | None, **more: str
    ) -> None:
        _record(event, text, fingerprint, uid, **_fields(self._identify(fingerprint)), **more)

    def _name(self, fingerprint: str) -> str:
        return _name(fingerprint, self._identify(fingerprint))

    def _describe(self, kind: Kind, times: int) -> str:
        uid, fingerprint, reason = kind
        name = self._name(fingerprint)
        caller = name if uid is None else f"{name}, uid {uid}"
        return f"{times} of {caller} ({printable(reason)})"


def printable(text: str) -> str:
    """Foreign text on one line, shortened, with nothing in it that a terminal would obey."""
    shown = text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def _record(event: Event, text: str, fingerprint: str, uid: int | None, **more: str) -> None:
    fields = {"MULTIPASS_EVENT": event.name.lower(), **more}
    if fingerprint:
        fields["MULTIPASS_CLIENT"] = printable(fingerprint)
    if uid is not None:
        fields["MULTIPASS_UID"] = str(uid)
        text += f", uid {uid}"
    level = logging.WARNING if event in WARNINGS else logging.INFO
    _log.log(level, "%s", text, extra={"fields": fields, "message_id": event.value})


def _fields(identity: Identity) -> dict[str, str]:
    names = ("MULTIPASS_NAME", "MULTIPASS_ROLE")
    return {key: printable(value) for key, value in zip(names, identity, strict=True) if value}


def _name(fingerprint: str, identity: Identity) -> str:
    if not fingerprint:
        return "a client without certificate"
    name, role = identity
    plain = not name or names.MADE.fullmatch(name)  # it says no more than the fingerprint does
    known = role if plain else f"{printable(name)}, {role}"
    shown = f"client {printable(fingerprint[:16])}"
    return shown if plain and role in ("", "admin") else f"{shown} ({known})"
