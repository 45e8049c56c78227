"""For whom an instance is made: the client's name, which is what makes it the owner."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

NO_LIMITS: Mapping[str, int] = MappingProxyType({})


class Owner(NamedTuple):
    """`name`: empty for the service's own. `sees_all`: may it know of the instances of others?
    `limits`: its quota, by the kinds of `protocol.quotas`; a missing one is no limit."""

    name: str = ""
    sees_all: bool = True
    limits: Mapping[str, int] = NO_LIMITS

    def charged_for(self, owner: str) -> Owner:
        """Who pays for a change of an instance of this owner: an administrator may exceed the
        quotas of others, as it sets them."""
        return self if owner == self.name else Owner(owner)


SERVICE = Owner()
