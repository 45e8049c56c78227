"""Roles of clients: what a trusted client may do. Pure.

The method table names the least role that may make each call, so the order counts. Which instances
exist for a caller is another question (`multipassd/auth/ownership.py`).
"""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """From the least to the most; what a role may do, each greater one may do, too."""

    VIEWER = 1  # sees instances, images and networks; no access to a guest, changes nothing
    USER = 2  # launches within its quota; sees, uses and deletes its own instances, no others
    ADMIN = 3  # everything: what Multipass 1.16 calls trusted

    def __str__(self) -> str:
        return self.name.lower()


NAMES = {str(role): role for role in Role}


def parse(name: object) -> Role | None:
    """None if there is no such role."""
    return NAMES.get(name) if isinstance(name, str) else None
