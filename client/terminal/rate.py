"""Sliding-window transfer rate in bytes per second, from samples of the bytes so far. Pure."""

from __future__ import annotations

WINDOW = 8.0  # seconds: long enough for a steady display, short enough to follow the network
SURE_AFTER = 3.0  # seconds of samples before a time is estimated


class Rate:
    """The rate within WINDOW; earlier samples have no effect."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, int]] = []

    def add(self, now: float, total: int) -> None:
        """`total` only grows while it is the same thing that comes; a smaller one begins anew."""
        if self._samples and total < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, total))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            del self._samples[0]  # the oldest sample that stays is as old as the window, or older

    def per_second(self) -> float | None:
        """None with fewer than two samples."""
        seconds = self._seconds()
        if not seconds:
            return None
        return (self._samples[-1][1] - self._samples[0][1]) / seconds

    def left(self, rest: int) -> float | None:
        """Seconds until `rest` more bytes have come; None if that can't be estimated."""
        rate = self.per_second()
        if not rate or self._seconds() < SURE_AFTER:
            return None
        return rest / rate

    def _seconds(self) -> float:
        return self._samples[-1][0] - self._samples[0][0] if self._samples else 0.0
