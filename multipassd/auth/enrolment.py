"""Changes of the set of trusted clients: one at a time, durable before it takes effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import TypeVar

from multipassd.auth import gate
from multipassd.auth.audit import Audit
from multipassd.auth.peer import Peer
from multipassd.system.background import Tasks
from multipassd.trust.lock import LastAdmin, StoreError
from multipassd.trust.state import Holders, TrustState
from multipassd.trust.store import TrustStore
from protocol import certificates
from protocol.errors import InvalidCertificate, StorageFailed, StoreDamaged
from protocol.roles import Role

Result = TypeVar("Result")


class Enrolment:
    """`changed` is called after the trusted set or the store's state has changed."""

    def __init__(self, store: TrustStore, audit: Audit, changed: Callable[[], None]) -> None:
        self._store = store
        self._audit = audit
        self._changed = changed
        self._lock = asyncio.Lock()
        self._tasks = Tasks()
        self._seen = self._now()

    async def adopt(self, peer: Peer) -> bool:
        """Enrol the very first client. False if another was faster."""
        return await self._undisturbed(self._adopt(peer))

    async def enrol(self, peer: Peer, how: str, role: Role) -> None:
        """Enrol a client that has shown its right to it; no change if it is trusted already."""
        await self._undisturbed(self._enrol(peer, how, role))

    async def enrol_root(self, peer: Peer) -> None:
        """Root's client is an admin, whatever it was before."""
        await self._undisturbed(self._enrol_root(peer))

    async def grant(self, clients: Iterable[str], role: Role, by: Peer, force: bool) -> list[str]:
        """Give clients another role; returns those who had another. Raises LastAdmin, RpcError."""
        return await self._undisturbed(self._grant(clients, role, by, force))

    async def revoke(self, clients: Iterable[str], by: Peer, force: bool) -> list[str]:
        """Returns those who were trusted. Raises LastAdmin, RpcError."""
        return await self._undisturbed(self._revoke(clients, by, force))

    async def upkeep(self, everything: bool = False) -> None:
        """What the store does periodically: note who was seen, and who was added by hand."""
        await self._undisturbed(self._keep_up(everything))

    def refresh(self) -> None:
        """Notice what others changed in the file; costs one stat when nothing did."""
        self._store.refresh()
        before, now = self._seen, self._now()
        if before[0] is now[0] and before[1] is now[1]:
            return
        self._seen = now
        self._changed()

    async def _adopt(self, peer: Peer) -> bool:
        self.refresh()
        if self._store.state is not TrustState.EMPTY:
            return False
        return await self._add(peer, "first client", only_first=True)

    async def _enrol(self, peer: Peer, how: str, role: Role) -> None:
        self.refresh()
        if self._store.state is TrustState.DAMAGED:
            raise StoreDamaged(gate.DAMAGED_SENTENCE)
        if not self._store.trusts(peer.fingerprint):
            await self._add(peer, how, role)

    async def _enrol_root(self, peer: Peer) -> None:
        await self._enrol(peer, "root", Role.ADMIN)
        if self._store.role_of(peer.fingerprint) is not Role.ADMIN:
            await self._grant([peer.fingerprint], Role.ADMIN, peer, force=False)

    async def _grant(self, clients: Iterable[str], role: Role, by: Peer, force: bool) -> list[str]:
        self.refresh()
        changed = await self._in_thread(lambda: self._store.grant(clients, role, force))
        granted_by = self._store.identity(by.fingerprint)[0] or "root"
        for each in changed:
            self._audit.granted(each, by.uid, f"role {role}, granted by {granted_by}")
        self.refresh()
        return changed

    async def _revoke(self, clients: Iterable[str], by: Peer, force: bool) -> list[str]:
        self.refresh()
        was = {each: self._store.identity(each) for each in clients}
        removed = await self._in_thread(lambda: self._store.revoke(was, by.uid, force))
        for each in removed:
            self._audit.removed(each, by.uid, was[each])
        self.refresh()
        return removed

    async def _add(
        self, peer: Peer, how: str, role: Role = Role.ADMIN, only_first: bool = False
    ) -> bool:
        try:
            certificates.check(peer.certificate)
        except ValueError:
            raise InvalidCertificate() from None
        added = await self._in_thread(
            lambda: self._store.add(
                peer.certificate, how, peer.uid, role=role, only_first=only_first
            )
        )
        if added:
            self._audit.granted(peer.fingerprint, peer.uid, how)
        self.refresh()
        return added

    async def _keep_up(self, everything: bool) -> None:
        await asyncio.to_thread(self._store.flush, everything)
        # Only now: multipass-trust has put its changes on record, which tells them apart.
        self._audit.by_hand(self._store.take_changes())

    def _now(self) -> tuple[TrustState, Holders]:
        return self._store.state, self._store.holders

    async def _undisturbed(self, change: Coroutine[object, object, Result]) -> Result:
        """A caller who hangs up undoes nothing that is under way: neither the lock, which keeps a
        second first client out, nor the record in the journal may go with him."""
        return await self._tasks.complete(self._locked(change))

    async def _locked(self, change: Coroutine[object, object, Result]) -> Result:
        async with self._lock:
            return await change

    @staticmethod
    async def _in_thread(change: Callable[[], Result]) -> Result:
        """In a thread, so that other calls are served while the disk is slow."""
        try:
            return await asyncio.to_thread(change)
        except LastAdmin:
            raise
        except StoreError as error:
            raise StorageFailed(str(error)) from error
