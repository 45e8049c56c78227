"""Subordinate uids (/etc/subuid): a user with 65,536 of them is still one person.

Read once at start and on reload, never while a decision is made.
"""

from __future__ import annotations

import bisect
import pwd
from collections.abc import Container
from pathlib import Path

from multipassd.system.files import read_regular

SUBUID = Path("/etc/subuid")
MAX_FILE = 4 << 20  # some 100,000 lines
MAX_UID = (1 << 32) - 1


class SubordinateUids:
    """Which owner's account a uid is charged to."""

    def __init__(self, ranges: list[tuple[int, int, int]] | None = None) -> None:
        """`ranges`: (first uid, number of uids, owner's uid).

        Where ranges overlap, the one that begins first answers.
        """
        self._ranges: list[tuple[int, int, int]] = []  # (first, end, owner), apart and in order
        free = 1
        for first, count, owner in sorted(ranges or []):
            start, end = max(first, free), first + count
            if start < end:
                # What root lent to containers must not slow down root itself.
                self._ranges.append((start, end, owner or first))
                free = end
        self._starts = [start for start, _, _ in self._ranges]

    @classmethod
    def parse(cls, text: str) -> SubordinateUids:
        """Lines `owner:first:count`; those that are malformed or name no user are left out."""
        lines = (_parse_line(line) for line in text.splitlines())
        return cls([line for line in lines if line is not None])

    @classmethod
    def load(cls, path: Path = SUBUID) -> SubordinateUids:
        """An absent or unreadable file is an empty one: every uid is then its own owner."""
        try:
            return cls.parse(read_regular(path, MAX_FILE).decode("utf-8", "replace"))
        except OSError:
            return cls()

    def ranges_of(self, owners: Container[int]) -> list[tuple[int, int]]:
        """First and last of each range that belongs to one of these users."""
        return [(first, end - 1) for first, end, owner in self._ranges if owner in owners]

    def charge(self, uid: int) -> int:
        """The uid that answers for `uid`: the owner of its range, or itself."""
        index = bisect.bisect_right(self._starts, uid) - 1
        if index < 0:
            return uid
        _, end, owner = self._ranges[index]
        return owner if uid < end else uid


def _parse_line(line: str) -> tuple[int, int, int] | None:
    fields = line.strip().split(":")
    if len(fields) != 3:
        return None
    owner, first, count = _owner(fields[0]), _number(fields[1]), _number(fields[2])
    # A range that begins at 0 would charge root's own calls to another user.
    if owner is None or not first or not count:
        return None
    return first, count, owner


def _owner(name: str) -> int | None:
    number = _number(name)
    if number is not None:
        return number
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):  # ValueError: a name with a NUL in it
        return None


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return number if (number := int(text)) <= MAX_UID else None
