"""Who a peer is trusted as: one value, computed here and passed to all that decide by it. Pure.

The gate, the limits of a connection, the rations and the log that a caller may see read this value;
none of them asks the trust store itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from multipassd.auth.peer import AdminRule, Credentials, Peer


class Trust(Protocol):
    """What is asked of the trust store; the answer costs the same for 1 and 100,000 clients."""

    def trusts(self, fingerprint: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What the service takes a peer for; without any of it, for a stranger.

    `trusted`: its certificate is in the trust store. `root`: root of this host, over the Unix
    socket. `admin`: root, the admin group or the daemon's own user, likewise.
    """

    trusted: bool = False
    root: bool = False
    admin: bool = False

    @property
    def privileged(self) -> bool:
        """Does it get in without the passphrase, so that its guesses need no limit?"""
        return self.trusted or self.root


STRANGER = Standing()


class Standings:
    """Computes the standing of peers from the trust store and the rule for administrators."""

    def __init__(self, trust: Trust, admins: AdminRule) -> None:
        self._trust = trust
        self._admins = admins

    def of(self, peer: Peer) -> Standing:
        """As of now: a change of the trust store changes it."""
        return Standing(
            trusted=bool(peer.fingerprint) and self._trust.trusts(peer.fingerprint),
            root=peer.is_root,
            admin=self._admins.covers(peer.credentials),
        )

    def before_handshake(self, credentials: Credentials | None) -> Standing:
        """By the user alone: the certificate is not known yet."""
        return self.of(Peer(credentials, b"", ""))

    def is_unrationed(self, uid: int) -> bool:
        """Is this root or the daemon's own user, whose connections may take any time?"""
        return uid in (0, self._admins.own_uid)
