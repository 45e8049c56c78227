"""Detect clients added to or removed from the trust store by hand, i.e. without an entry in the
client records.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from multipassd.trust.clients import Clients
from multipassd.trust.state import LESSER, Holders
from protocol.roles import Role

NOBODY: frozenset[str] = frozenset()
Changes = tuple[frozenset[str], frozenset[str]]  # who was added, who removed


class ByHand:
    """Told by the store of each set of trusted clients that it sees, and of its own changes, which
    are no news. Only `record` writes; the caller holds the store's lock for it."""

    def __init__(self, clients: Clients, holders: Callable[[], Holders]) -> None:
        self._clients = clients
        self._holders = holders
        self._lock = threading.Lock()  # the event loop may see a change while a worker records
        self._trusted: frozenset[str] | None = None  # by a store in order, last
        self._expected: set[str] = set()
        self._appeared = self._vanished = NOBODY
        self._unrecorded = NOBODY
        self._compared = False  # was the side file once compared with all who are trusted?
        self._changes: Changes = NOBODY, NOBODY
        self._renewals: dict[str, str] = {}

    @property
    def trusted(self) -> frozenset[str]:
        """The fingerprints in the store when it was last in order."""
        return self._trusted or NOBODY

    @property
    def read(self) -> bool:
        """Was the store in order yet?"""
        return self._trusted is not None

    @contextmanager
    def expecting(self, who: str) -> Iterator[None]:
        self._expected.add(who)
        try:
            yield
        finally:
            self._expected.discard(who)

    def saw(self, trusted: frozenset[str]) -> bool:
        """In a store in order. True if that is another set than before."""
        with self._lock:
            before, self._trusted = self._trusted, trusted
            if before is None:  # the first look: who is there was there
                self._unrecorded = trusted
            if before is None or before == trusted:
                return False
            appeared, vanished = trusted - before, before - trusted
            self._unrecorded = (self._unrecorded | appeared) - vanished
            self._vanished -= appeared  # also where a program has put it back
            appeared, vanished = appeared - self._expected, vanished - self._expected
            self._appeared = (self._appeared - vanished) | appeared
            self._vanished |= vanished
            return True

    def disregard(self, clients: Collection[str]) -> None:
        """That these are trusted is what a kill has left, and no addition by hand."""
        with self._lock:
            self._unrecorded -= frozenset(clients)
            self._appeared -= frozenset(clients)

    def begin_anew(self) -> None:
        """The store is about to be emptied, which is no removal by hand."""
        self._trusted = NOBODY

    def pending(self) -> bool:
        """Is there anything for `record` to do?"""
        return self.read and bool(
            not self._compared
            or self._unrecorded
            or self._appeared
            or self._vanished
            or self._moved()
            or self._clients.unfinished.keys() & self.trusted
        )

    def _moved(self) -> frozenset[str]:
        """Those with another role than on record."""
        holders, moved = self._holders(), NOBODY
        for role in LESSER:
            moved |= self._clients.holding(role) ^ holders.in_effect(role)
        return moved & holders.everyone & self._clients.known() if moved else NOBODY

    def record(self) -> None:
        """Under the store's lock no program is between a change and its record, so what changed
        without one was done by hand, perhaps while no daemon ran. Raises OSError."""
        self._clients.refresh()
        with self._lock:
            trusted, unrecorded = self.trusted, self._unrecorded
            added, removed = self._appeared, self._vanished - trusted
            self._appeared = self._vanished = NOBODY
        self._renewals |= self._clients.renewed(trusted, time.time())
        if not self._clients.problem:  # else there is no telling, and twice is better than never
            if not self._compared:
                self._compared = True
                added, removed = unrecorded, removed | (self._clients.known() - trusted)
            added = frozenset(self._clients.unknown(added))
            removed = frozenset(each for each in removed if not self._clients.was_removed(each))
        moved, holders = self._moved(), self._holders()
        self._changes = self._changes[0] | added | moved, self._changes[1] | removed
        now = time.time()
        self._clients.found(self._clients.unknown(unrecorded), now, holders.role_of)
        for role in Role:
            self._clients.given(role, moved & holders.in_effect(role))
        with self._lock:
            self._unrecorded -= unrecorded
        self._clients.gone(self._clients.known() & removed, now)

    @property
    def untold(self) -> bool:
        """Would `take` or `take_renewals` tell something?"""
        return self._changes != (NOBODY, NOBODY) or bool(self._renewals)

    def take(self) -> Changes:
        """What was found out since the last call."""
        changes, self._changes = self._changes, (NOBODY, NOBODY)
        return changes

    def take_renewals(self) -> dict[str, str]:
        """Those that a kill had cut short and that were found done: the new by the old ones."""
        renewals, self._renewals = self._renewals, {}
        return renewals
