"""Clients' access to guests, from the first key or certificate until it has ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from multipassd.auth.peer import NOBODY, Peer
from multipassd.cloudinit.ssh_keys import NO_KEY
from multipassd.guest_access.holders import FILE, Holders
from multipassd.transport.quota.subuids import SubordinateUids
from protocol.errors import StorageFailed

if TYPE_CHECKING:
    from multipassd.cloudinit.logins import Logins
    from multipassd.cloudinit.ssh_keys import ServiceKey
    from multipassd.guest_access.departures import Departures, Trust
    from multipassd.guest_access.rotation import KeyRotation
    from multipassd.instances.collection import Instances
    from multipassd.instances.instance import Instance
    from multipassd.network.closing import Closing


class Guests(Protocol):
    """What guests are reached by, each loaded when it is first asked for."""

    @property
    def ssh_key(self) -> ServiceKey: ...
    @property
    def logins(self) -> Logins: ...
    @property
    def instances(self) -> Instances: ...
    @property
    def closing(self) -> Closing: ...


class GuestAccess:
    """The one part of it that calls and the service see."""

    def __init__(
        self,
        data: Path,
        trust: Trust,
        guests: Guests,
        subuids: Callable[[], SubordinateUids],
    ) -> None:
        self._trust = trust
        self._guests = guests
        self._subuids = subuids
        self._key = guests.ssh_key
        self._holders = Holders(data / FILE, self._key)
        self._let_in = False  # any client, yet

    @cached_property
    def _rotation(self) -> KeyRotation:
        from multipassd.guest_access.rotation import KeyRotation

        return KeyRotation(self._guests.instances, self._guests.logins)

    @cached_property
    def _departures(self) -> Departures:
        from multipassd.guest_access.departures import Departures
        from multipassd.guest_access.sessions import Sessions

        guests = self._guests
        sessions = Sessions(guests.instances, guests.closing, self._subuids, os.geteuid())
        return Departures(self._trust, self._holders, self._key, self._rotation, sessions)

    def _load_departures(self) -> Departures:
        return self._departures

    def load(self) -> None:
        """After the trust store was. Never fails."""
        self._holders.load(self._trust.records())

    async def note_certificate(self, peer: Peer) -> None:
        """It is about to be given a certificate. Durable on return. Raises StorageFailed."""
        await self._note(peer, None)

    async def give_key(self, peer: Peer, instance: Instance) -> str:
        """The private key that this guest lets in, for a client; that it has it is durable on
        return. Raises StorageFailed."""
        name, present = instance.record.ssh_key, self._key.name
        private = await asyncio.to_thread(self._key.private_of, name)
        # Before the first rotation a key of 1.16 is as good. A former key is on its way out.
        held = present if name == present or not present else None
        await self._note(peer, held)
        return private.decode()

    async def _note(self, peer: Peer, key: str | None) -> None:
        """Containers' users count as the user that they belong to. Raises StorageFailed, and
        CodeReplaced where what would end this access can't be loaded any more."""
        self._load_departures()
        # One of a container without a name here: its connections can't be told by it.
        uid = None if peer.uid in (None, NOBODY) else self._subuids().charge(peer.uid)
        if not self._holders.has(peer.fingerprint, uid, key):
            await asyncio.to_thread(self._holders.note, peer.fingerprint, uid, key)

    async def note_renewal(self, old: str, new: str) -> None:
        """A certificate is about to take another one's place. Raises StorageFailed."""
        await asyncio.to_thread(self._holders.note_renewal, old, new)

    def why_withheld(self, instance: Instance) -> str:
        """Why no client gets the shared key for this guest, a clause; empty if admins do. Raises
        StorageFailed."""
        if self._guests.logins.wanted(instance.record) == NO_KEY:
            return "local.shared-ssh-key is false"
        if instance.record.ssh_key == NO_KEY:
            return f"{instance.name} does not let it in yet; it will within minutes"
        return ""

    def apply_setting(self) -> None:
        """`local.shared-ssh-key` may have been changed. Never fails."""
        self._rotation.apply()

    def end_log_ins(self, owner: str) -> None:
        """An instance of this owner has another one now. Never fails."""
        self._departures.end_log_ins(owner)

    def pending(self) -> list[str]:
        """Instances that may still let in a key of a client whose trust has ended."""
        if self._let_in and self._departures.will_rotate:
            return self._rotation.reached()
        return self._rotation.pending()

    def look(self) -> None:
        """Called when trust has changed, and every second or so. Never fails."""
        self._let_in = self._let_in or self._holders.any()
        if self._let_in:  # else no client's access can end
            self._departures.look()
        if self._may_have_key():  # else none can be replaced
            self._rotation.tick()

    def _may_have_key(self) -> bool:
        try:
            return self._key.exists
        except StorageFailed:
            return True
