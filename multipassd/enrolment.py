"""Who comes to be trusted and who no longer is: one change at a time, durable before it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from multipassd import gate
from multipassd.audit import Audit
from multipassd.peer import Peer
from multipassd.truststore import StoreError, TrustState, TrustStore
from protocol import certificates
from protocol.errors import InvalidCertificate, StorageFailed, StoreDamaged


class Enrolment:
    """`changed` is called after the trusted set or the store's state has changed."""

    def __init__(self, store: TrustStore, audit: Audit, changed: Callable[[], None]) -> None:
        self._store = store
        self._audit = audit
        self._changed = changed
        self._lock = asyncio.Lock()

    async def adopt(self, peer: Peer) -> bool:
        """Enrol the very first client. False if another was faster."""
        async with self._lock:
            self.refresh()
            if self._store.state is not TrustState.EMPTY:
                return False
            await self._add(peer, "first client")
            return True

    async def enrol(self, peer: Peer, how: str) -> None:
        """Enrol a client that has shown its right to it; no change if it is trusted already."""
        async with self._lock:
            self.refresh()
            if self._store.state is TrustState.DAMAGED:
                raise StoreDamaged(gate.DAMAGED_SENTENCE)
            if not self._store.trusts(peer.fingerprint):
                await self._add(peer, how)

    async def remove(self, fingerprint: str, by: Peer) -> bool:
        async with self._lock:
            self.refresh()
            removed = await self._in_thread(lambda: self._store.remove(fingerprint, by.uid))
            if removed:
                self._store.take_changes()
                self._audit.removed(fingerprint, by.uid)
                self._changed()
            return removed

    def refresh(self) -> None:
        """Notice what others changed in the file; costs one stat when nothing did."""
        if self._store.refresh():
            added, removed = self._store.take_changes()
            for fingerprint in added:
                self._audit.granted(fingerprint, None, "by hand")
            for fingerprint in removed:
                self._audit.removed(fingerprint, None)
            self._changed()

    async def _add(self, peer: Peer, how: str) -> None:
        try:
            certificates.check(peer.certificate)
        except ValueError:
            raise InvalidCertificate() from None
        if await self._in_thread(lambda: self._store.add(peer.certificate, how, peer.uid)):
            self._store.take_changes()
            self._audit.granted(peer.fingerprint, peer.uid, how)
            self._changed()

    @staticmethod
    async def _in_thread(change: Callable[[], bool]) -> bool:
        """The disk may take its time; other callers are served meanwhile. A caller who hangs up
        does not undo what is under way."""
        try:
            return await asyncio.shield(asyncio.to_thread(change))
        except StoreError as error:
            raise StorageFailed(str(error)) from error
