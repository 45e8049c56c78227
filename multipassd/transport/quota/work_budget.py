"""Token buckets for the work of peers without trust: one for each person, over its connections.

Pure: the clock is handed in. What a bucket holds is processor time of the event loop, in seconds.
"""

from __future__ import annotations

from multipassd.transport.quota import limits
from multipassd.transport.quota.limits import WorkRate


class Account:
    """One person's bucket. An exempt one (root's) is never empty."""

    __slots__ = (
        "_at",
        "_control",
        "_control_at",
        "_known_until",
        "_left",
        "_report_from",
        "exempt",
        "person",
    )

    def __init__(self, person: str, now: float, *, exempt: bool = False) -> None:
        self.person = person
        self.exempt = exempt
        self._known_until = now
        self._left = limits.STRANGERS_WORK.burst
        self._at = now
        self._control = float(limits.CONTROL_FRAMES_BURST)
        self._control_at = now
        self._report_from = now

    def __str__(self) -> str:
        return f"uid {self.person}" if self.person.isdigit() else self.person

    def report(self, now: float) -> bool:
        """Is it time to put on record that this account is empty? Not again for a while."""
        due = now >= self._report_from
        if due:
            self._report_from = now + limits.REPORT_EVERY
        return due

    def known(self, now: float) -> bool:
        """Did a client of this person prove to be trusted lately?"""
        return now < self._known_until

    def prove(self, spent: float, now: float) -> None:
        """A client of this person is trusted: what its connection has spent is given back."""
        if self.known(now):
            self._left += spent  # the next refill cuts it to the burst
        else:
            self._left = limits.KNOWN_WORK.burst
        self._known_until = now + limits.KNOWN_FOR

    def solvent(self, now: float) -> bool:
        """May more work be done for this person now?"""
        if self.exempt:
            return True
        self._refill(now)
        return self._left > 0

    def spend(self, seconds: float, now: float) -> None:
        """Charge work that was done. The debt is bounded, and so is the wait for its end."""
        self._refill(now)
        self._left = max(-self._rate(now).burst, self._left - seconds)

    def take_control_frame(self, now: float) -> bool:
        """False: the person has sent more frames without a call than its ration."""
        earned = max(0.0, now - self._control_at) * limits.CONTROL_FRAMES_PER_SECOND
        self._control = min(limits.CONTROL_FRAMES_BURST, self._control + earned)
        self._control_at = now
        if self._control < 1:
            return False
        self._control -= 1
        return True

    def _refill(self, now: float) -> None:
        rate = self._rate(now)
        earned = max(0.0, now - self._at) * rate.share
        self._left = min(rate.burst, self._left + earned)
        self._at = now

    def _rate(self, now: float) -> WorkRate:
        return limits.KNOWN_WORK if self.known(now) else limits.STRANGERS_WORK


class Accounts:
    """The accounts of the persons who came last; a connection keeps one that is dropped here."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}  # in order of their last use

    def __len__(self) -> int:
        return len(self._accounts)

    def of(self, person: str, now: float) -> Account:
        account = self._accounts.pop(person, None) or Account(person, now)
        self._accounts[person] = account
        if len(self._accounts) > limits.PERSONS:
            del self._accounts[next(iter(self._accounts))]
        return account
