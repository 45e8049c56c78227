"""How fast something comes, from now and then a look at how much came so far. Pure."""

from __future__ import annotations

WINDOW = 8.0  # seconds: long enough to be read, short enough to follow what the network does
SURE_AFTER = 3.0  # seconds of looking before a time is guessed from it


class Rate:
    """Of the last seconds: neither what came before, nor how long it stood still, weighs on it."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, int]] = []

    def add(self, now: float, total: int) -> None:
        """`total` only grows while it is the same thing that comes; a smaller one begins anew."""
        if self._samples and total < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, total))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            del self._samples[0]  # the oldest that stays is as old as the window, or older

    def per_second(self) -> float | None:
        """None where one look tells nothing yet."""
        seconds = self._seconds()
        if not seconds:
            return None
        return (self._samples[-1][1] - self._samples[0][1]) / seconds

    def left(self, rest: int) -> float | None:
        """Seconds until `rest` more has come; None where nobody can tell."""
        rate = self.per_second()
        if not rate or self._seconds() < SURE_AFTER:
            return None
        return rest / rate

    def _seconds(self) -> float:
        return self._samples[-1][0] - self._samples[0][0] if self._samples else 0.0
