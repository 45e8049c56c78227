"""For whom an instance is made: the client's name, which is what makes it the owner."""

from __future__ import annotations

from typing import NamedTuple


class Owner(NamedTuple):
    """`name`: empty for the service's own. `sees_all`: may it know of the instances of others?"""

    name: str = ""
    sees_all: bool = True


SERVICE = Owner()
