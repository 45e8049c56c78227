"""Who a peer is trusted as: one value, computed here and passed to all that decide by it. Pure.

The gate, the limits of a connection, the rations and the log that a caller may see read this value;
none of them asks the trust store itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from multipassd.audit.record import Actor
from multipassd.auth.peer import AdminRule, Credentials, Peer
from protocol.roles import Role


class Trust(Protocol):
    """What is asked of the trust store; the answer costs the same for 1 and 100,000 clients."""

    def holder_of(self, fingerprint: str) -> tuple[Role | None, str]:
        """Role and name; None and empty if it is not trusted."""
        ...


class Standing(NamedTuple):
    """What the service takes a peer for; without any of it, for a stranger.

    `role`: that of its certificate in the trust store; None if it is not trusted. `name`: the
    person whose certificate it is, as on record; empty if it is not trusted. `root`: root of this
    host, over the Unix socket. `admin`: root, the admin group or the daemon's own user, likewise;
    before the first client only they may connect. That is no role. `expired`: its certificate has
    ended, and ended ones are refused; then it is not trusted, unless it is root's. A tuple, as each
    call makes one.
    """

    role: Role | None = None
    name: str = ""
    root: bool = False
    admin: bool = False
    expired: bool = False

    @property
    def trusted(self) -> bool:
        """Is its certificate in the trust store, in any role?"""
        return self.role is not None

    @property
    def administrates(self) -> bool:
        """May it do everything, see the log of its calls, and guess as often as it likes?"""
        return self.role is Role.ADMIN

    @property
    def privileged(self) -> bool:
        """Does it get in without the passphrase, so that its guesses need no limit?"""
        return self.administrates or self.root


STRANGER = Standing()


def actor(peer: Peer, name: str, role: Role | str | None) -> Actor:
    """Who a record of the journal names for what the peer does."""
    credentials = peer.credentials
    return Actor(
        name,
        "" if role is None else str(role),
        peer.fingerprint,
        credentials.uid if credentials else None,
        credentials.pid if credentials else None,
        peer.address,
    )


class Standings:
    """Computes the standing of peers from the trust store and the rule for administrators.

    `refuses_expired`: is a certificate that has ended worth nothing? `now`: seconds since 1970.
    """

    def __init__(
        self,
        trust: Trust,
        admins: AdminRule,
        refuses_expired: Callable[[], bool] = lambda: False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._trust = trust
        self._admins = admins
        self._refuses_expired = refuses_expired
        self._now = now

    def of(self, peer: Peer) -> Standing:
        """As of now: a change of the trust store changes it."""
        who, admin = peer.fingerprint, self._admins.covers(peer.credentials)
        if peer.ends < self._now() and not peer.is_root and self._refuses_expired():
            return Standing(admin=admin, expired=True)
        role, name = self._trust.holder_of(who) if who else (None, "")
        return Standing(role, name, peer.is_root, admin)

    def before_handshake(self, credentials: Credentials | None) -> Standing:
        """By the user alone: the certificate is not known yet."""
        return self.of(Peer(credentials, b"", ""))

    def is_unrationed(self, uid: int) -> bool:
        """Is this root or the daemon's own user, whose connections may take any time?"""
        return uid in (0, self._admins.own_uid)
