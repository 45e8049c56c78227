"""Names of instances and snapshots: one rule for everything that users name. Pure."""

from __future__ import annotations

from string import ascii_letters, digits

_INSIDE = frozenset(ascii_letters + digits + "-")
_LAST = frozenset(ascii_letters + digits)
_FIRST = frozenset(ascii_letters)


def valid(name: str) -> bool:
    """Letters, digits and inner hyphens, a letter first. Written out: `re` costs the CLI 5 ms."""
    return (
        bool(name)
        and name[0] in _FIRST
        and name[-1] in _LAST
        and all(letter in _INSIDE for letter in name)
    )
