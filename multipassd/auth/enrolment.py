"""Changes of the set of trusted clients: one at a time, durable before it takes effect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from typing import TypeVar

from multipassd.audit.record import Actor
from multipassd.audit.trail import Audit
from multipassd.auth import gate, inviting
from multipassd.auth.invitations import VOID, Invitation, InvitationRefused, Invitations
from multipassd.auth.inviting import Invited, Wish
from multipassd.auth.peer import Peer
from multipassd.auth.renewal import Renewal
from multipassd.auth.standing import actor
from multipassd.system.background import Tasks
from multipassd.trust import names
from multipassd.trust.client_record import BY_HAND
from multipassd.trust.lock import LastAdmin, StoreError
from multipassd.trust.reader import INVITATIONS_NAME
from multipassd.trust.state import FirstClient, Holders, TrustState
from multipassd.trust.store import TrustStore, always
from protocol import certificate_check
from protocol.errors import InvalidCertificate, StorageFailed, StoreDamaged
from protocol.roles import Role, parse

Result = TypeVar("Result")


class Enrolment:
    """`changed` is called after the trusted set or the store's state has changed; `adopts`: does
    an empty store take its first client in by its call? `owners`: the names that own instances; no
    client gets such a name without being given it."""

    def __init__(
        self,
        store: TrustStore,
        audit: Audit,
        changed: Callable[[], None],
        adopts: Callable[[], bool],
        owners: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._store = store
        self._owners = owners
        self._invitations = Invitations(store.directory / INVITATIONS_NAME)
        self._audit = audit
        self._changed = changed
        self._adopts = adopts
        self._lock = asyncio.Lock()
        self._tasks = Tasks()
        self._seen = self._now()
        self.renewal = Renewal(store, audit, self._in_thread, self.refresh)

    async def adopt(self, peer: Peer) -> bool:
        """Enrol the very first client. False if another was faster, or none is adopted now."""
        return await self._undisturbed(self._adopt(peer))

    async def enrol(self, peer: Peer, how: str, role: Role) -> None:
        """Enrol a client that has shown its right to it; no change if it is trusted already."""
        await self._undisturbed(self._enrol(peer, how, role))

    async def enrol_root(self, peer: Peer) -> None:
        """Root's client becomes an admin, also if it had a lesser role."""
        await self._undisturbed(self._enrol_root(peer))

    async def redeem(self, peer: Peer, line: str) -> None:
        """Enrol a client by its invitation. Raises InvitationRefused, RpcError."""
        await self._undisturbed(self._redeem(peer, line))

    async def invite(self, wish: Wish, by: Peer, first: FirstClient) -> Invited:
        """Raises NotInvited, RpcError."""
        return await self._undisturbed(self._invite(wish, by, first))

    async def grant(self, who: str, role: Role, by: Peer, force: bool) -> list[str]:
        """Give a person's clients, or that of a fingerprint, another role, and take invitations
        back that would give more; returns those who had another. Raises NoClient, LastAdmin."""
        return await self._undisturbed(self._grant_to(who, role, by, force))

    async def revoke(self, who: str, by: Peer, force: bool) -> tuple[list[str], int]:
        """Those who were trusted, and how many invitations were taken back. Raises NoClient,
        LastAdmin, RpcError."""
        return await self._undisturbed(self._revoke_from(who, by, force))

    async def invitations(self) -> list[Invitation]:
        """Those that wait. Raises StorageFailed."""
        return await self._in_thread(lambda: self._invitations.waiting(time.time()))

    async def renew(self, peer: Peer, certificate: bytes) -> None:
        """Put a renewed certificate (DER) in the place of the peer's. Raises RpcError."""
        await self._undisturbed(self.renewal.exchange(peer, certificate))

    async def remove(self, fingerprint: str, by: Peer) -> bool:
        """By the whole fingerprint; False if it was not trusted."""
        return bool(await self._undisturbed(self._revoke([fingerprint], by, force=True)))

    def upkeep_due(self) -> bool:
        """Is there anything for `upkeep` to do? It takes a thread, which an idle service saves."""
        return self._store.due() or self._invitations.due(time.time())

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
        return await self._add(peer, "first client", only_first=True, condition=self._adopts)

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

    async def _redeem(self, peer: Peer, line: str) -> None:
        self.refresh()
        if self._store.state is TrustState.DAMAGED:
            raise StoreDamaged(gate.DAMAGED_SENTENCE)
        who, now = peer.fingerprint, time.time()
        offered = lambda: inviting.offered(self._invitations, line, who, now)  # noqa: E731
        found = await self._in_thread(offered)
        role = parse(found.role)
        if role is None:
            raise InvitationRefused(f"This invitation is for an unknown role: {found.role}.")
        has = self._store.role_of(who)
        if has is not None and not found.claimed:
            raise InvitationRefused(
                f"This client is trusted already, as {has}, so the invitation was not used.\n"
                "An administrator can change the role with 'multipass grant'."
            )
        if has is None:
            _check(peer)
            if found.claimed and self._store.was_removed(who):
                raise InvitationRefused("This invitation was used, and its client removed again.")
            await self._in_thread(lambda: self._invitations.claim(found, who, now))
            role = min(role, self._store.role_of_person(found.name) or role)
            await self._add(
                peer, "invitation", role, name=found.name,
                condition=lambda: self._invitations.is_claimed(found, who),
            )  # fmt: skip
            if not self._store.trusts(who):  # multipass-trust was faster
                raise InvitationRefused(VOID)
        elif self._store.name_of(who) != found.name:  # a kill came between the file and the record
            await self._in_thread(lambda: self._store.rename(who, found.name))
        await self._in_thread(lambda: self._invitations.withdraw(now, ids={found.id}))

    async def _invite(self, wish: Wish, by: Peer, first: FirstClient) -> Invited:
        self.refresh()
        made_by = self._store.identity(by.fingerprint)[0] or names.ROOT
        invited = await self._in_thread(
            lambda: inviting.invite(
                self._store, self._invitations, wish, made_by, time.time(), first
            )
        )
        self._audit.invited(wish.name, str(invited.role), self._actor(by))
        return invited

    async def _grant_to(self, who: str, role: Role, by: Peer, force: bool) -> list[str]:
        self.refresh()
        now = time.time()
        found = inviting.meant(self._store, who)
        if role is not Role.ADMIN:
            self._store.keep_an_admin(found, force)
            more = {
                each.id
                for each in await self._in_thread(lambda: self._invitations.waiting(now))
                if each.name == who and (parse(each.role) or role) > role
            }
            await self._in_thread(lambda: self._invitations.withdraw(now, ids=more))
            if more:
                self._audit.withdrawn(who, len(more), self._actor(by))
            if more and not found:
                return []
        if not found:
            raise inviting.none_found(self._store, who)
        return await self._grant(found, role, by, force)

    async def _revoke_from(self, who: str, by: Peer, force: bool) -> tuple[list[str], int]:
        self.refresh()
        now = time.time()
        found = await self._in_thread(
            lambda: inviting.revocable(self._store, self._invitations, who, now)
        )
        self._store.keep_an_admin(found.clients, force)
        found = await self._in_thread(
            lambda: inviting.take_back(self._store, self._invitations, who, now)
        )
        taken_back = len(found.invitations)
        if taken_back:
            self._audit.withdrawn(who, taken_back, self._actor(by))
        removed = await self._revoke(found.clients, by, force)
        if found.problem:
            count = f"{len(removed)} client{'' if len(removed) == 1 else 's'}"
            raise StorageFailed(f"{count} of '{who}' removed. {found.problem}")
        return removed, taken_back

    async def _grant(self, clients: Iterable[str], role: Role, by: Peer, force: bool) -> list[str]:
        self.refresh()
        changed = await self._in_thread(lambda: self._store.grant(clients, role, force))
        who = self._actor(by)
        for each in changed:
            self._audit.granted(each, who, f"role {role}, granted by {who.name or 'root'}")
        self.refresh()
        return changed

    async def _revoke(self, clients: Iterable[str], by: Peer, force: bool) -> list[str]:
        self.refresh()
        who, was = self._actor(by), {each: self._store.identity(each) for each in clients}
        removed = await self._in_thread(lambda: self._store.revoke(was, by.uid, force))
        for each in removed:
            self._audit.removed(each, who, was[each])
        self.refresh()
        return removed

    async def _add(
        self,
        peer: Peer,
        how: str,
        role: Role = Role.ADMIN,
        only_first: bool = False,
        name: str = "",
        condition: Callable[[], bool] = always,
    ) -> bool:
        _check(peer)
        owners = self._owners()
        added = await self._in_thread(
            lambda: self._store.add(
                peer.certificate,
                how,
                peer.uid,
                name,
                role=role,
                only_first=only_first,
                owners=owners,
                condition=condition,
            )
        )
        if added:
            self._audit.granted(peer.fingerprint, self._actor(peer), how)
        self.refresh()
        return added

    async def _keep_up(self, everything: bool) -> None:
        await asyncio.to_thread(self._store.flush, everything)
        if self._invitations.due(time.time()):
            with suppress(StorageFailed):  # the next look at them says so
                await self._in_thread(lambda: self._invitations.forget_expired(time.time()))
        # Only now: multipass-trust has put its changes on record, which tells them apart.
        self._audit.by_hand(*self._store.take_changes(), BY_HAND)
        self.renewal.report_unreported()

    def _actor(self, peer: Peer) -> Actor:
        return actor(peer, *self._store.identity(peer.fingerprint))

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


def _check(peer: Peer) -> None:
    """Raises InvalidCertificate."""
    try:
        certificate_check.check(peer.certificate)
    except ValueError:
        raise InvalidCertificate() from None
