"""Names of instances and snapshots: one rule for everything that users name; names of the hosts
of a cluster, which their administrators choose. Pure."""

from __future__ import annotations

from string import ascii_letters, digits

_INSIDE = frozenset(ascii_letters + digits + "-")
_LAST = frozenset(ascii_letters + digits)
_FIRST = frozenset(ascii_letters)
_OF_HOSTS = frozenset(ascii_letters + digits + "-._")
MAX_MEMBER = 64  # HOST_NAME_MAX of Linux: a member is mostly called as its host is


def valid(name: str) -> bool:
    """Letters, digits and inner hyphens, a letter first. Written out: `re` costs the CLI 5 ms."""
    return (
        bool(name)
        and name[0] in _FIRST
        and name[-1] in _LAST
        and all(letter in _INSIDE for letter in name)
    )


def valid_member(name: str) -> bool:
    """Letters, digits, hyphens, dots and underscores, a letter or digit first. It goes into the
    query of a URL, and onto terminals: nothing that means something else there."""
    return (
        0 < len(name) <= MAX_MEMBER
        and name[0] in _LAST
        and all(letter in _OF_HOSTS for letter in name)
    )
