"""States of the trust store, and who holds which role. Pure."""

from dataclasses import dataclass, field
from enum import Enum

from protocol.roles import Role

NONE: frozenset[str] = frozenset()


class TrustState(Enum):
    """Only EMPTY adopts a first client, only TRUSTING trusts, DAMAGED lets no new client in."""

    EMPTY = "empty"
    TRUSTING = "trusting"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Holders:
    """Fingerprints by the file that they are in. In two files, the lesser role counts."""

    admins: frozenset[str] = NONE
    viewers: frozenset[str] = NONE
    everyone: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        both = self.admins | self.viewers if self.viewers else self.admins
        object.__setattr__(self, "everyone", both)

    def role_of(self, fingerprint: str) -> Role | None:
        """Costs the same for 1 and 100,000 clients."""
        if fingerprint in self.viewers:
            return Role.VIEWER
        return Role.ADMIN if fingerprint in self.admins else None

    def only_admins(self) -> frozenset[str]:
        """Those who are admins in effect."""
        return self.admins - self.viewers if self.viewers else self.admins
