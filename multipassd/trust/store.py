"""Which client certificates are trusted: the concatenated PEM file of 1.16, watched and kept.

People append to the file by hand, so it stays the file of record and its text stays theirs.
Everything that changes it takes a lock shared by all processes; reading takes none. What was read
is one immutable view, replaced as a whole, so `refresh` and `trusts` may run in the event loop
while one worker thread adds, removes or flushes.
"""

import os
import threading
import time
from math import inf
from pathlib import Path

from multipassd.trust import removal
from multipassd.trust import reset as trust_reset
from multipassd.trust.client_record import ClientRecord
from multipassd.trust.clients import Clients
from multipassd.trust.disk import ChangedByOther, StoreDisk
from multipassd.trust.enrolled_marker import EnrolledMarker
from multipassd.trust.lock import Guard, StoreError
from multipassd.trust.manual_changes import ByHand, Changes
from multipassd.trust.removal import ATTEMPTS
from multipassd.trust.state import TrustState
from multipassd.trust.view import Observer, View
from protocol.certificates import check
from protocol.pem import der_to_pem, fingerprint

FILE_NAME = "multipass_client_certs.pem"
CLIENTS_NAME = "clients.jsonl"

FLUSH_SECONDS = 60.0  # between two looks for what is due in the side file


class TrustStore:
    """The set of trusted client certificates, as of the file, and its changes."""

    def __init__(self, directory: Path, owner: int | None = None) -> None:
        self.directory = directory
        self.path = directory / FILE_NAME
        # Root's files are as good as our own: root could write to ours, too.
        owners = frozenset({os.geteuid() if owner is None else owner, 0})
        self._disk = StoreDisk(self.path, owners)
        self._clients = Clients(directory / CLIENTS_NAME, owners)
        self._marker = EnrolledMarker(directory)
        self._observer = Observer(self._disk, self._clients, self._marker, owners)
        self._view = View(
            TrustState.DAMAGED, damage="The trust store was not read yet.", inspect_again=-inf
        )
        self._by_hand = ByHand(self._clients)
        self._publishing = threading.Lock()
        self._generation = 0
        self._guard = Guard(directory)
        self._next_flush = -inf

    # Questions

    @property
    def state(self) -> TrustState:
        return self._view.state

    @property
    def damage(self) -> str:
        """What is wrong, why, and what to do; empty unless the state is DAMAGED."""
        return self._view.damage

    @property
    def problems(self) -> list[str]:
        """What is worth a warning though the store works."""
        side = [self._clients.problem] if self._clients.problem else []
        return [*self._view.problems, *self._guard.problems.values(), *side]

    def trusts(self, fingerprint: str) -> bool:
        return fingerprint in self._view.trusted

    def fingerprints(self) -> frozenset[str]:
        return self._view.trusted

    def __len__(self) -> int:
        return len(self._view.trusted)

    def records(self) -> list[ClientRecord]:
        """All trusted clients with what is known about them."""
        self._clients.refresh()
        return [self._clients.describe(each) for each in sorted(self._view.trusted)]

    def take_changes(self) -> Changes:
        """Who was added and who removed by hand, as `flush` found out since the last call."""
        return self._by_hand.take()

    # Reading

    def load(self) -> None:
        """Read everything. Never raises for what is wrong on disk: state and problems tell."""
        with self._guard.reported("load"):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._observer.directory_complaint():
                with self._guard.locked():
                    self._disk.sweep()
        self.refresh()

    def refresh(self) -> bool:
        """Look whether the file changed, and read it if so; True if state or trust changed."""
        view = self._view
        if self._observer.unchanged(view):
            return False
        generation = self._generation
        accepted = self._publish(self._observer.look(self._by_hand.trusted), generation)
        now = self._view
        return accepted and (view.state, view.trusted) != (now.state, now.trusted)

    def _publish(self, view: View, generation: int) -> bool:
        """Make it the current view, unless another thread looked later than the caller did."""
        with self._publishing:
            if generation != self._generation:
                return False
            self._generation += 1
            self._view = view
            if view.state is not TrustState.DAMAGED and self._by_hand.saw(view.trusted):
                self._next_flush = -inf
        return True

    def _inspect_again(self) -> View:
        """The truth on disk now; under the lock and in a worker thread."""
        for _ in range(ATTEMPTS):
            generation = self._generation
            if self._publish(self._observer.look(self._by_hand.trusted), generation):
                break
        return self._view

    # Changing

    def add(
        self, der: bytes, how: str, uid: int | None, name: str = "", *, only_first: bool = False
    ) -> bool:
        """Trust a certificate, durably on return; False if it is trusted already.

        With `only_first` also False when the store, looked at under the lock, is not EMPTY (any
        more): of all first clients, in all processes, one wins.

        Raises ValueError when it is no certificate, StoreError when the store can't take it.
        """
        check(der)
        who, text = fingerprint(der), der_to_pem(der)
        with self._by_hand.expecting(who), self._guard.changing("The client was not enrolled"):
            if not self._persist(who, text, only_first):
                return False
            with self._guard.reported("record"):
                self._clients.enrolled(who, name, how, uid, time.time())
            with self._guard.reported("marker"):
                self._marker.set()
        return True

    def _persist(self, who: str, text: bytes, only_first: bool) -> bool:
        for attempt in range(ATTEMPTS):
            self.refresh()
            with self._publishing:
                generation, view = self._generation, self._in_order()
            if who in view.trusted:
                return attempt > 0  # an editor has kept it in the file that replaced ours
            if only_first and view.state is not TrustState.EMPTY:
                return False
            try:
                self._write(view, text)
            except (ChangedByOther, FileExistsError, FileNotFoundError):
                continue
            after = self._observer.after_append(view, who, text)
            if after is None or not self._publish(after, generation):
                self._inspect_again()
            return True
        raise StoreError("other programs keep replacing the trust store")

    def _write(self, view: View, text: bytes) -> None:
        if view.exists:
            self._disk.add(text, view.contents)
        else:
            self._disk.create(text)

    def remove(self, who: str, uid: int | None) -> bool:
        """Trust it no longer, durably on return; False if it was not trusted."""
        with self._by_hand.expecting(who), self._guard.changing("The client was not removed"):
            self._inspect_again()
            if who not in self._in_order().trusted:
                return False
            with self._guard.reported("record"):
                self._by_hand.record()  # else an emptied store would have clients on record
            self._clients.refresh()
            record = self._clients.describe(who)
            with self._guard.reported("record"):
                self._clients.removed(who, uid, time.time())
            try:
                if self.fingerprints() == {who}:
                    self._marker.clear()  # first: a kill now leaves a store that is in order
                removal.blank(self._disk, who)
            except OSError:
                with self._guard.reported("record"):
                    self._clients.restore(record)
                with self._guard.reported("marker"):
                    self._marker.set()
                raise
            finally:
                self._inspect_again()
        return True

    def reset(self) -> Path:
        """Make a DAMAGED store EMPTY; returns the directory that now keeps what was there."""
        with self._guard.changing("The trust store was not reset"):
            if self._inspect_again().state is not TrustState.DAMAGED:
                raise StoreError("it is in order")
            if self._observer.directory_complaint():
                trust_reset.tighten(self.directory)
            kept = trust_reset.set_aside(self._disk, self._clients.path)
            self._marker.clear()
            self._by_hand.begin_anew()
            if self._inspect_again().state is not TrustState.EMPTY:
                raise StoreError(self.damage)
        return kept

    def _in_order(self) -> View:
        view = self._view
        if view.state is TrustState.DAMAGED:
            raise StoreError(view.damage)
        return view

    # Upkeep, called by a timer

    def seen(self, fingerprint: str, when: float) -> None:
        """Note that a trusted client called; `flush` puts it into the side file."""
        if self.trusts(fingerprint):
            self._clients.seen(fingerprint, when)

    def flush(self, everything: bool = False) -> None:
        """Bring the side file up to date: who was added by hand, who was seen (once an hour)."""
        if not self._by_hand.read and not self.directory.exists():
            self.load()  # the disk refused to make it at start; it may be writable by now
        if time.monotonic() < self._next_flush and not everything:
            return
        if self._observer.directory_complaint():
            self._next_flush = time.monotonic() + FLUSH_SECONDS
            return
        if self._view.state is TrustState.TRUSTING:
            # For clients that were appended by hand, or enrolled by Multipass 1.16.
            with self._guard.reported("marker"), self._guard.locked():
                self._marker.set()
        with self._guard.reported("record"), self._guard.locked():
            self._next_flush = time.monotonic() + FLUSH_SECONDS
            self._record_by_hand()
            self._clients.write_seen(everything)
            self._clients.compact()

    def _record_by_hand(self) -> None:
        if self._by_hand.pending():
            self.refresh()
            if self._view.state is not TrustState.DAMAGED:
                self._by_hand.record()
