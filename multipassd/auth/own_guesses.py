"""The guesses that each person has of its own, so that no other person's guesses use them up.

Pure: the clock is handed in. Persons are those of `origin.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

OWN_GUESSES = 3  # a day: a right passphrase, after two typing errors
DAY = 24 * 3600.0
# How many persons may have used one of their guesses within a day. Those who come after that have
# none, so that no number of addresses makes more guesses. Users are counted apart from addresses,
# of which a stranger may have any number.
MAX_USERS = 4096
MAX_ADDRESSES = 1024

_ADDRESS = "tcp "

Used = tuple[int, float]  # how many, and when the first of them was


class OwnGuesses:
    """The guesses that each person used within a day."""

    def __init__(self, used: Mapping[str, Used] | None = None) -> None:
        self._used = dict(used or {})

    def take(self, person: str, now: float) -> bool:
        """Use one; False if there is none left."""
        self._forget(now)
        count, since = self._used.get(person, (0, now))
        if count >= OWN_GUESSES or (not count and not self._has_place(person)):
            return False
        self._used[person] = count + 1, since
        return True

    def renew(self, person: str) -> bool:
        """The person knows the passphrase; False if it had used none."""
        return self._used.pop(person, None) is not None

    def used(self) -> dict[str, Used]:
        return dict(self._used)

    def _has_place(self, person: str) -> bool:
        addresses = sum(each.startswith(_ADDRESS) for each in self._used)
        if person.startswith(_ADDRESS):
            return addresses < MAX_ADDRESSES
        return len(self._used) - addresses < MAX_USERS

    def _forget(self, now: float) -> None:
        """What is a day old. A clock that was set back makes no day longer."""
        self._used = {
            person: (count, min(since, now))
            for person, (count, since) in self._used.items()
            if now - since < DAY
        }


def parse(state: object) -> dict[str, Used]:
    """Raises ValueError, TypeError."""
    if not isinstance(state, dict):
        raise TypeError("the persons are no table")
    return {str(person): _parse_used(used) for person, used in state.items()}


def _parse_used(used: object) -> Used:
    if not isinstance(used, list) or len(used) != 2:
        raise TypeError("a person's guesses are no pair")
    count, since = int(used[0]), float(used[1])
    if not math.isfinite(since):
        raise ValueError("a number is out of range")
    return count, since
