"""Which instances exist for a caller: its role and its name against an instance's owner. Pure."""

from __future__ import annotations

from multipassd.auth.standing import Standing
from protocol.roles import Role

ALL = None  # in place of an owner: every instance


def sees(standing: Standing, owner: str) -> bool:
    """Does an instance of this owner exist for the caller? An instance without owner is not for
    users: it was made before there were owners, or by root."""
    only = sole_owner(standing)
    return only is ALL or (owner == only and owner != "")


def sole_owner(standing: Standing) -> str | None:
    """The owner whose instances alone exist for the caller; ALL if there is no such limit. Empty
    for a stranger, for whom none exists."""
    role = standing.role
    if role is Role.USER:
        return standing.name
    return ALL if role is not None or standing.root else ""
