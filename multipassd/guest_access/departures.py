"""The access to guests of clients that are trusted no longer, or in a lesser role: it ends.

Their log-ins end at once. For as long as a certificate lasts that was issued just before, no other
one gets through from their Unix users. If they may hold the shared SSH key, it is replaced. Who is
gone follows from the trust store and the list of holders, so a later daemon goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

from multipassd.cloudinit.ssh_authority import BACKWARD, VALID
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.guest_access.holders import Holder, Holders
from multipassd.guest_access.rotation import KeyRotation
from multipassd.guest_access.sessions import Sessions
from multipassd.system import log
from multipassd.system.background import Tasks
from multipassd.trust.client_record import ClientRecord
from multipassd.trust.state import Holders as Trusted
from multipassd.trust.state import TrustState
from protocol.errors import StorageFailed
from protocol.roles import Role

# From the revocation on: how long the last certificate may be let in, also by a guest whose clock
# is behind (ssh_authority.py), and the log-in that it is for.
CLOSED_SECONDS = VALID + BACKWARD + 30
AGAIN_SECONDS = 5.0  # between two attempts at log-ins that no rule of the firewall keeps out
# The same where there is a rule: an administrator may have flushed it, or an instance be new.
RENEWAL_SECONDS = 60.0
RETRY_SECONDS = 60.0  # until a key that could not be written is tried again

_log = log.get("access")


class Trust(Protocol):
    """What is asked of the trust store."""

    @property
    def state(self) -> TrustState: ...
    @property
    def holders(self) -> Trusted: ...
    def hidden(self) -> list[ClientRecord]: ...
    def role_of(self, fingerprint: str) -> Role | None: ...
    def records(self) -> list[ClientRecord]: ...


class Departures:
    """One for the daemon."""

    def __init__(
        self,
        trust: Trust,
        holders: Holders,
        key: ServiceKey,
        rotation: KeyRotation,
        sessions: Sessions,
    ) -> None:
        self._trust = trust
        self._holders = holders
        self._key = key
        self._rotation = rotation
        self._sessions = sessions
        self._tasks = Tasks()
        self._lock = asyncio.Lock()
        self._looked_at: Trusted | None = None
        self._until: dict[str, float] = {}  # monotonic: guests are closed to these clients so long
        self._roles: dict[str, Role | None] = {}  # as of the last look
        self._once: set[int] = set()  # uids whose connections are to end
        self._rotate_at: float | None = None  # monotonic; None: that is not due
        self._close_at: float | None = None
        self._told = ""

    @property
    def will_rotate(self) -> bool:
        """A client that has the shared key is gone, and the key not replaced yet."""
        return self._rotate_at is not None

    def look(self) -> None:
        """Called when trust has changed, and every second or so. Never fails."""
        if self._trust.state is TrustState.DAMAGED:
            return  # a file that is being edited, or was lost: that removes no client
        now, trusted = time.monotonic(), self._trust.holders
        if trusted is not self._looked_at:
            self._looked_at = trusted
            self._compare(now)
        expired = [who for who, until in self._until.items() if until <= now]
        if expired and self._rotate_at is None:
            self._forget(expired)
        if any(at is not None and at <= now for at in (self._rotate_at, self._close_at)):
            if not self._lock.locked():
                self._tasks.spawn(self._act())

    def end_log_ins(self, name: str) -> None:
        """Those of the users of this name: an instance of theirs was given to another owner. They
        may log in to their other instances again."""
        for each in self._trust.records():
            if each.name == name and each.role is Role.USER:
                self._once |= self._holders.get(each.fingerprint).uids
        if self._once:
            self._close_at = time.monotonic()
            self.look()

    def _compare(self, now: float) -> None:
        present, before = self._present(), set(self._until)
        # Not let in while the file of their role is damaged, which is no removal either.
        in_doubt = {each.fingerprint for each in self._trust.hidden()}
        for who, holder in self._holders:
            if who in in_doubt or holder.renewed_by in in_doubt:
                continue
            role = self._role(who, holder)
            was, self._roles[who] = self._roles.get(who), role
            if role in (Role.ADMIN, Role.USER):
                self._until.pop(who, None)
            if role is Role.ADMIN:
                continue
            holds = holder.key is not None and holder.key == present
            if holds and self._rotate_at is None:
                self._rotate_at = now
            if role is Role.USER:
                # Some of its log-ins may be to instances of others; it may log in to its own again.
                if holds or was is Role.ADMIN:
                    self._once |= holder.uids
            elif who not in self._until:
                self._until[who] = now + CLOSED_SECONDS
                self._once |= holder.uids
                _log.info("the access of client %s to instances ends", who[:16])
        if self._once or self._until or before:
            self._close_at = now

    def _role(self, who: str, holder: Holder) -> Role | None:
        """Also where another certificate has taken the place of this one."""
        seen = {who}
        role = self._trust.role_of(who)
        while role is None and holder.renewed_by and holder.renewed_by not in seen:
            seen.add(who := holder.renewed_by)
            role, holder = self._trust.role_of(who), self._holders.get(who)
        return role

    def _present(self) -> str:
        try:
            return self._key.name
        except StorageFailed as error:
            _log.warning("%s", error.message)
            return ""

    def _forget(self, clients: Iterable[str]) -> None:
        """Their certificates have expired, and the shared key is another."""
        for who in clients:
            del self._until[who]
            self._roles.pop(who, None)
        self._holders.forget(clients)
        self._close_at = time.monotonic()

    async def _act(self) -> None:
        async with self._lock:
            await self._close()
            if self._rotate_at is not None and self._rotate_at <= time.monotonic():
                await self._rotate()

    async def _close(self) -> None:
        once, self._once, self._close_at = self._once, set(), None
        leaving = {who: holder for who, holder in self._holders if who in self._until}
        uids = {uid for holder in leaving.values() for uid in holder.uids}
        shared = uids & await asyncio.to_thread(self._others) if uids else set()
        for uid in sorted(shared & once - self._sessions.spared):
            _log.warning(
                "uid %d is also another trusted client's: all its log-ins to instances are ended, "
                "and it may log in again", uid,
            )  # fmt: skip
        why = await self._sessions.close(uids - shared, once, CLOSED_SECONDS)
        if why and uids - shared:
            if why != self._told:
                _log.warning(
                    "instances can't be closed to clients that are trusted no longer, so a "
                    "certificate of the last minutes may still log in: %s", why,
                )  # fmt: skip
            self._once |= uids - shared
        if uids - shared:
            self._close_at = time.monotonic() + (AGAIN_SECONDS if why else RENEWAL_SECONDS)
        self._told = why

    def _others(self) -> set[int]:
        """Users of this host that a client who may log in to instances is on record with."""
        known = {each.uid for each in self._trust.records() if (each.role or 0) >= Role.USER}
        for who, holder in self._holders:
            if (self._role(who, holder) or 0) >= Role.USER:
                known |= holder.uids
        return {uid for uid in known if uid is not None}

    async def _rotate(self) -> None:
        try:
            await self._rotation.rotate()
            self._rotate_at = None
        except StorageFailed as error:
            _log.warning("%s", error.message)
            self._rotate_at = time.monotonic() + RETRY_SECONDS
