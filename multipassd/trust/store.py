"""Which client certificates are trusted, and as what: PEM files, watched and kept.

The concatenated PEM file of 1.16 holds admins alone. Each lesser role has a file of the same form
beside it, which 1.16 does not read: after a revert to 1.16, or the loss of such a file, no client
is more than it was. A certificate in two files has the lesser role.

People append to the files by hand, so they stay the files of record and their text stays people's.
Everything that changes them takes a lock shared by all processes; reading takes none.
"""

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from multipassd.trust import names
from multipassd.trust import reset as trust_reset
from multipassd.trust.lock import StoreError
from multipassd.trust.reader import (
    CLIENTS_NAME,
    FILE_NAME,
    INVITATIONS_NAME,
    NAMES,
    StoreReader,
)
from multipassd.trust.state import TrustState
from protocol.certificate_check import check
from protocol.pem import der_to_pem, fingerprint
from protocol.roles import Role

FLUSH_SECONDS = 60.0  # between two looks for what is due in the side file

__all__ = ["CLIENTS_NAME", "FILE_NAME", "NAMES", "TrustStore"]


def always() -> bool:
    """The condition of an addition that has none."""
    return True


class TrustStore(StoreReader):
    """The trusted client certificates with their roles, and their changes."""

    def add(
        self,
        der: bytes,
        how: str,
        uid: int | None,
        name: str = "",
        *,
        role: Role = Role.ADMIN,
        only_first: bool = False,
        owners: Collection[str] = (),
        condition: Callable[[], bool] = always,
    ) -> bool:
        """Trust a certificate, durably on return; False if it is trusted already, in any role.
        Without a name, it gets that of its user, and no greater role than that user has already.
        `owners`: names that own instances, which a certificate gets only by being given them.

        With `only_first` also False when the store, looked at under the lock, is not EMPTY (any
        more): of all first clients, in all processes, one wins. The `condition` is asked under the
        lock, too; where it does not hold, nothing is added.

        Raises ValueError when it is no certificate, StoreError when the store can't take it.
        """
        check(der)
        who, text = fingerprint(der), der_to_pem(der)
        with self._by_hand.expecting(who), self._guard.changing("The client was not enrolled"):
            self.refresh()
            if self.role_of(who) is not None or not condition():
                return False
            for each, why in self.damaged_roles().items():
                if who in self._clients.holding(each):
                    raise StoreError(why)
            self._main.in_order()
            if not name:
                self._clients.refresh()
                name = names.free_for(self._clients.records(), names.default(uid, who), uid, owners)
                if not only_first:
                    has = self.role_of_person(name, uid), self.role_of_unattributed()
                    role = min([role, *(each for each in has if each)])
            if not self._files[role].append(who, text, only_first):
                return False
            with self._guard.reported("record"):
                self._clients.enrolled(who, name, how, uid, time.time(), role)
                self._clients.refresh()
            with self._guard.reported("marker"):
                if role is Role.ADMIN:
                    self._marker.set()
        return True

    def rename(self, who: str, name: str) -> None:
        """Put on record whose certificate it is. Raises StoreError."""
        with self._guard.changing("The name was not put on record"):
            self._clients.rename(who, name)

    def grant(self, clients: Iterable[str], role: Role, force: bool = False) -> list[str]:
        """Give clients another role, durably on return; returns those who had another.

        Raises LastAdmin, unless forced, where no admin would be left, and StoreError.
        """
        with self._guard.changing("The role was not changed"):
            self._inspect_again()
            self._changer.settle()
            return self._changer.grant(self._holders, clients, role, force)

    def renew(self, old: str, certificate: bytes) -> None:
        """Trust a certificate (DER) in the place of another, durably on return: with its role, its
        name and all else that is on record. Done before, it stays done.

        Raises ValueError when it is no certificate, StoreError.
        """
        check(certificate)
        new = fingerprint(certificate)
        with ExitStack() as stack:
            stack.enter_context(self._guard.changing("The certificate was not renewed"))
            for each in (old, new):
                stack.enter_context(self._by_hand.expecting(each))
            self._inspect_again()
            try:
                self._changer.renew(self._holders, old, new, der_to_pem(certificate))
            finally:
                self._inspect_again()

    def keep_an_admin(self, leaving: Iterable[str], force: bool) -> None:
        """Raises LastAdmin, unless forced, where these would leave no admin."""
        self._changer.keep_an_admin(self._holders, frozenset(leaving), force)

    def remove(self, who: str, uid: int | None) -> bool:
        """Trust it no longer, durably on return; False if it was not trusted."""
        return bool(self.revoke([who], uid, force=True))

    def revoke(self, clients: Iterable[str], uid: int | None, force: bool = False) -> list[str]:
        """Trust them no longer, durably on return; returns those who were trusted.

        Raises LastAdmin, unless forced, where no admin would be left, and StoreError.
        """
        with ExitStack() as stack:
            stack.enter_context(self._guard.changing("The client was not removed"))
            self._inspect_again()
            self._main.in_order()
            leaving = frozenset(clients) & self._holders.everyone
            self._changer.keep_an_admin(self._holders, leaving, force)
            for who in leaving:
                stack.enter_context(self._by_hand.expecting(who))
            try:
                if leaving:
                    roles = {who: self.role_of(who) or Role.ADMIN for who in leaving}
                    self._changer.remove(roles, uid)
            finally:
                self._inspect_again()
        return sorted(leaving)

    def reset(self) -> Path:
        """Make a DAMAGED store EMPTY; returns the directory that now keeps what was there."""
        with self._guard.changing("The trust store was not reset"):
            if self._inspect_again() is not TrustState.DAMAGED:
                raise StoreError("it is in order")
            if self._main.observer.directory_complaint():
                trust_reset.tighten(self.directory)
            files = [file.disk.path for file in self._files.values()]
            invitations = self.directory / INVITATIONS_NAME
            kept = trust_reset.set_aside(
                self.directory,
                [*files, invitations, self._changer.underway.path, self._clients.path],
            )
            self._marker.clear()
            self._by_hand.begin_anew()
            if self._inspect_again() is not TrustState.EMPTY:
                raise StoreError(self.damage)
        return kept

    def reset_role(self, role: Role) -> Path:
        """The same for the damaged file of a lesser role; the clients of other roles stay."""
        with self._guard.changing(f"The file of the role {role} was not reset"):
            self._inspect_again()
            self._main.in_order()
            if role not in self.damaged_roles():
                raise StoreError("it is in order")
            files = [self._files[role].disk.path]
            kept = self._changer.forget(role, lambda: trust_reset.set_aside(self.directory, files))
            self._inspect_again()
            self._files[role].in_order()
        return kept

    # Upkeep, called by a timer

    def seen(self, fingerprint: str, when: float) -> None:
        """Note that a trusted client called; `flush` puts it into the side file."""
        if self.trusts(fingerprint):
            self._clients.seen(fingerprint, when)

    def due(self) -> bool:
        """Is there anything for `flush` to do, or found out and not taken yet? A stat."""
        return (
            not self._by_hand.read
            or self._by_hand.untold
            or time.monotonic() >= self._next_flush
            or self._changer.underway.path.exists()
        )

    def flush(self, everything: bool = False) -> None:
        """Bring the side file up to date: who was added by hand, who was seen (once an hour)."""
        if not self._by_hand.read and not self.directory.exists():
            self.load()  # the disk refused to make it at start; it may be writable by now
        cut_short = self._changer.underway.path.exists()  # or another process is at it
        if time.monotonic() < self._next_flush and not everything and not cut_short:
            return
        if self._main.observer.directory_complaint():
            self._next_flush = time.monotonic() + FLUSH_SECONDS
            return
        if self.state is TrustState.TRUSTING:
            # For clients that were appended by hand, or enrolled by Multipass 1.16.
            with self._guard.reported("marker"), self._guard.locked():
                self._marker.set()
        with self._guard.reported("record"), self._guard.locked():
            self._next_flush = time.monotonic() + FLUSH_SECONDS
            if cut_short:
                self._inspect_again()
                self._changer.settle()
            self._record_by_hand()
            self._clients.write_seen(everything)
            self._clients.compact()

    def _record_by_hand(self) -> None:
        if self._by_hand.pending():
            self.refresh()
            if self.state is not TrustState.DAMAGED:
                with suppress(OSError):  # both stay trusted, on record, until the client's next try
                    self._changer.finish_renewals(self._holders)
                self._by_hand.record()
