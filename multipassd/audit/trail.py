"""The audit trail of trust, refusals and damage; deeds of clients are in `deed.py`.

What changes who is trusted is one record each, always. Refusals cost the caller nothing, so they
are bounded (`refusals.py`). Never a passphrase, a hash, a key, an invitation's line or the value of
a setting.
"""

from __future__ import annotations

from collections.abc import Callable

from multipassd.audit import record
from multipassd.audit.budget import Budget
from multipassd.audit.event import Event
from multipassd.audit.record import NOBODY, Actor, described, printable
from multipassd.audit.refusals import Refusals

Identity = tuple[str, str]  # name and role; empty where the client is not trusted
UNKNOWN: Identity = ("", "")
SUMMARY_INTERVAL = 60.0  # seconds


class Audit:
    """One for the daemon; `tick` is to be called every few seconds. `identify`: who a certificate
    belongs to, by its fingerprint."""

    def __init__(self, identify: Callable[[str], Identity] = lambda _: UNKNOWN) -> None:
        self._identify = identify
        self._refusals = Refusals()
        self.budget = Budget()  # of the records of deeds
        self._now: float | None = None  # as of the last tick
        self._summed_at = 0.0

    def granted(self, fingerprint: str, by: Actor, how: str) -> None:
        """It is trusted from now on, or has another role."""
        was = self._identify(fingerprint)
        text = f"trusts {described(fingerprint, *was)} from now on ({printable(how)})"
        self._of_client(Event.GRANTED, text, fingerprint, was, by, MULTIPASS_HOW=printable(how))

    def renewed(self, fingerprint: str, by: Actor, old: str) -> None:
        """A certificate, by another that has the name and the role of the old one."""
        was = self._identify(fingerprint)
        text = f"{described(fingerprint, *was)} has taken the place of {old[:16]}, renewed"
        more = {"MULTIPASS_OLD_CLIENT": printable(old)}
        self._of_client(Event.RENEWED, text, fingerprint, was, by, **more)

    def removed(self, fingerprint: str, by: Actor, was: Identity = UNKNOWN) -> None:
        """`was`: who it belonged to, which can't be found out any more."""
        text = f"no longer trusts {described(fingerprint, *was)}"
        self._of_client(Event.REMOVED, text, fingerprint, was, by)

    def invited(self, name: str, role: str, by: Actor) -> None:
        """Never the line."""
        text = f"{by} invited {printable(name)} as {role}"
        record.write(
            Event.INVITED,
            text,
            by,
            {**record.by(by), "MULTIPASS_INVITED": printable(name), "MULTIPASS_INVITED_ROLE": role},
        )

    def withdrawn(self, name: str, count: int, by: Actor) -> None:
        """So many invitations of this name were taken back unused."""
        text = f"{count} invitations of {printable(name)} were taken back by {by}"
        fields = {"MULTIPASS_INVITED": printable(name), "MULTIPASS_COUNT": str(count)}
        record.write(Event.WITHDRAWN, text, by, {**record.by(by), **fields})

    def changed(self, key: str, by: Actor) -> None:
        """A setting, by root's program; its value is not recorded."""
        text = f"{printable(key)} was changed by {by}"
        record.write(Event.CHANGED, text, by, {"MULTIPASS_SETTING": printable(key)})

    def administered(self, verb: str, text: str, by: Actor, instance: str = "") -> None:
        """What root's program did besides: `text` is a sentence of it."""
        fields: dict[str, str | tuple[str, ...]] = {"MULTIPASS_VERB": verb}
        if instance:
            fields["MULTIPASS_INSTANCE"] = instance
        record.write(Event.ADMINISTERED, printable(text), by, fields)

    def by_hand(self, added: frozenset[str], removed: frozenset[str], how: str) -> None:
        """One record for each client that was added to the store or removed from it by hand."""
        for fingerprint in sorted(added):
            self.granted(fingerprint, NOBODY, how)
        for fingerprint in sorted(removed):
            self.removed(fingerprint, NOBODY)

    def store_damaged(self, path: str, problem: str) -> None:
        """The trust store is damaged: no new client gets in until an administrator repairs it."""
        record.write(Event.STORE_DAMAGED, problem, NOBODY, {"MULTIPASS_PATH": path})

    def settings_unusable(self, path: str, problem: str) -> None:
        record.write(Event.SETTINGS_UNUSABLE, problem, NOBODY, {"MULTIPASS_PATH": path})

    def denied(self, by: Actor, reason: str) -> None:
        self._refusals.add(by, reason, self._now or 0.0)

    def tick(self, now: float) -> None:
        """Sum up once a minute. `now` is in seconds of any clock; one set back only waits anew."""
        if self._now is None or now < self._now:
            self._summed_at = now
            self._refusals.begin(now)
        self._now = now
        if now - self._summed_at >= SUMMARY_INTERVAL:
            self.budget.refill((now - self._summed_at) / SUMMARY_INTERVAL)
            self._summed_at = now
            self.summarise()
            self._refusals.forget(now)

    def summarise(self) -> None:
        """Record what was counted since the last summary; also at the end of the daemon."""
        self._refusals.summarise()
        self.budget.summarise()

    @staticmethod
    def _of_client(
        event: Event, text: str, fingerprint: str, was: Identity, by: Actor, **more: str
    ) -> None:
        """`MULTIPASS_CLIENT` is the client that the record is about, `MULTIPASS_BY` who did it."""
        fields: dict[str, str | tuple[str, ...]] = {**record.identity(*was), **more}
        fields["MULTIPASS_CLIENT"] = printable(fingerprint)
        if by.fingerprint:
            own = by.fingerprint == fingerprint
            fields |= record.identity(*(was if own else (by.name, by.role)), "BY_")
            fields["MULTIPASS_BY_CLIENT"] = printable(by.fingerprint)
            text += "" if own else f", by {by}"
        record.write(event, text, by, fields)
