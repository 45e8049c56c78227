"""States of the trust store, who holds which role, and what the first client becomes. Pure."""

from enum import Enum
from typing import Final

from protocol.roles import Role

NONE: frozenset[str] = frozenset()
LESSER = (Role.VIEWER, Role.USER)  # from the least; each has a file beside the admins'


class TrustState(Enum):
    """Only EMPTY adopts a first client, only TRUSTING trusts, DAMAGED lets no new client in."""

    EMPTY = "empty"
    TRUSTING = "trusting"
    DAMAGED = "damaged"


class FirstClient(Enum):
    """The setting `local.first-client`: what becomes of the first client from root or the admin
    group. UNKNOWN where the settings can't be read: none is adopted, and the socket stays narrow.
    """

    ADMIN = "admin"
    NOBODY = "nobody"
    UNKNOWN = "unknown"


class Holders:
    """Fingerprints by the file that they are in. In two files, the lesser role counts."""

    __slots__ = "admins", "everyone", "users", "viewers"

    def __init__(
        self,
        admins: frozenset[str] = NONE,
        users: frozenset[str] = NONE,
        viewers: frozenset[str] = NONE,
    ) -> None:
        self.admins: Final = admins
        self.users: Final = users
        self.viewers: Final = viewers
        lesser = users | viewers
        self.everyone: Final = admins | lesser if lesser else admins

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Holders):
            return NotImplemented
        mine = self.admins, self.users, self.viewers
        return mine == (other.admins, other.users, other.viewers)

    def role_of(self, fingerprint: str) -> Role | None:
        """Costs the same for 1 and 100,000 clients."""
        if fingerprint in self.viewers:
            return Role.VIEWER
        if fingerprint in self.users:
            return Role.USER
        return Role.ADMIN if fingerprint in self.admins else None

    def in_effect(self, role: Role) -> frozenset[str]:
        """Those who have the role: of two files, the lesser role counts."""
        if role is Role.VIEWER:
            return self.viewers
        if role is Role.USER:
            return self.users - self.viewers
        return self.admins - self.users - self.viewers
