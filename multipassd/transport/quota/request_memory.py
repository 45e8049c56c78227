"""Memory that unfinished requests hold: a pool for the trusted, one for others, shares of each."""

from __future__ import annotations

from collections import Counter

from multipassd.transport.quota import limits


class RequestBuffers:
    """Bytes held. A person whose share is used up is refused; when the pool is used up, each person
    who has more than an equal part of it: a few large requests keep no small one out."""

    def __init__(self, pool: int, share: int) -> None:
        self._pool = pool
        self._share = share
        self._held: Counter[str] = Counter()  # by person
        self.total = 0

    def change(self, person: str, by: int) -> None:
        """`by` bytes more, or fewer."""
        if not by:
            return
        self.total += by
        self._held[person] += by
        if not self._held[person]:
            del self._held[person]

    def exceeded(self, person: str) -> bool:
        held = self._held[person]
        crowded = self.total > self._pool and held > self._pool / len(self._held)
        return crowded or held > self._share

    def __len__(self) -> int:
        """The number of persons who hold some."""
        return len(self._held)


def for_trusted() -> RequestBuffers:
    return RequestBuffers(limits.TRUSTED_BUFFERS, limits.TRUSTED_SHARE)


def for_strangers() -> RequestBuffers:
    return RequestBuffers(limits.STRANGERS_BUFFERS, limits.STRANGERS_SHARE)
