"""A client's certificate that is being exchanged for a renewed one: who its connections belong to.

Calls that run, and connections that are open, when the old certificate goes are judged by the new
one from then on: a command of the same user that takes an hour is not ended by a renewal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from multipassd.audit.record import NOBODY
from multipassd.audit.trail import Audit
from multipassd.auth.peer import Peer
from multipassd.auth.standing import actor
from multipassd.certificates.expiry import ends
from multipassd.trust.store import TrustStore
from protocol.errors import NotRenewed
from protocol.pem import fingerprint


class Renewal:
    """At most one at a time, under the lock of enrolments. `in_thread` runs a change of the store,
    `changed` is called when it is done."""

    def __init__(
        self,
        store: TrustStore,
        audit: Audit,
        in_thread: Callable[[Callable[[], None]], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._audit = audit
        self._in_thread = in_thread
        self._changed = changed
        self._old = self._new = ""  # fingerprints
        self._certificate = b""

    @staticmethod
    def check(peer: Peer, certificate: bytes) -> None:
        """Before anything is noted of it. Raises NotRenewed."""
        from multipassd.certificates.certificate_checks import renewal_complaint

        if wrong := renewal_complaint(peer.certificate, certificate, datetime.now(UTC)):
            raise NotRenewed(wrong)

    async def exchange(self, peer: Peer, certificate: bytes) -> None:
        """Put a certificate (DER) in the place of the peer's. Raises RpcError."""
        self.check(peer, certificate)
        self._old, self._new = peer.fingerprint, fingerprint(certificate)
        self._certificate = certificate
        try:
            await self._in_thread(lambda: self._store.renew(peer.fingerprint, certificate))
            by = actor(self.current(peer), *self._store.identity(self._new))
            self._audit.renewed(self._new, by, self._old)
            self._changed()
        finally:
            self._old = self._new = ""
            self._certificate = b""

    def report_unreported(self) -> None:
        """Renewals that an earlier service made and did not live to report."""
        for old, new in self._store.take_renewals().items():
            self._audit.renewed(new, NOBODY, old)

    def current(self, peer: Peer) -> Peer:
        """The peer as of now: with the new certificate, as soon as that is trusted."""
        if not self._old or peer.fingerprint != self._old or not self._store.trusts(self._new):
            return peer
        new = self._certificate
        return peer._replace(certificate=new, fingerprint=self._new, ends=ends(new))
