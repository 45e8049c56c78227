"""How many calls that last as long as their callers want each person has. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from multipassd.transport.quota import limits
from protocol.errors import TooManyStreams


class Places:
    """One place for each such call."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()  # by person

    @contextmanager
    def taken(self, person: str) -> Iterator[None]:
        """Raises TooManyStreams."""
        if self._taken[person] >= limits.STREAMS_PER_PERSON:
            raise TooManyStreams(
                f"{limits.STREAMS_PER_PERSON} connections to instances are open for this client "
                "already, which is as many as the service relays for one. Please close some, and "
                "try again."
            )
        self._taken[person] += 1
        try:
            yield
        finally:
            self._taken[person] -= 1
            if not self._taken[person]:
                del self._taken[person]
