"""States of the trust store, who holds which role, and what the first client becomes. Pure."""

from dataclasses import dataclass, field
from enum import Enum

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


@dataclass(frozen=True, slots=True)
class Holders:
    """Fingerprints by the file that they are in. In two files, the lesser role counts."""

    admins: frozenset[str] = NONE
    users: frozenset[str] = NONE
    viewers: frozenset[str] = NONE
    everyone: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        lesser = self.users | self.viewers
        object.__setattr__(self, "everyone", self.admins | lesser if lesser else self.admins)

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
