"""Flow control of what is received (RFC 9113, 5.2). Pure."""

from __future__ import annotations


class ReceiveWindow:
    """What the peer may send: taken by its data, given back in halves of the whole."""

    __slots__ = ("_left", "_owed", "_size")

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._owed = 0  # used, and not given back yet

    def take(self, size: int) -> bool:
        """False if the peer has sent more than it may."""
        self._left -= size
        return self._left >= 0

    def give_back(self, size: int) -> int:
        """These bytes are used: the increment that the peer is to be sent, or 0 for later."""
        self._owed += size
        if self._owed * 2 < self._size:
            return 0
        increment, self._owed = self._owed, 0
        self._left += increment
        return increment

    def widen(self, size: int) -> int:
        """Make it this large: the increment."""
        increment = size - self._size
        self._size = size
        self._left += increment
        return increment
