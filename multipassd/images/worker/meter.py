"""How often a transfer tells how far it is: each per cent, and some times a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from multipassd.images.image import Transfer

EVERY = 0.25  # seconds: fresh enough for a display that asks each second, and nothing to the daemon


class Meter:
    def __init__(self, report: Callable[[Transfer], None]) -> None:
        self._report = report
        self._percent: int | None = None
        self._due = 0.0

    def at(self, transfer: Transfer) -> None:
        now = time.monotonic()
        if transfer.percent == self._percent and now < self._due:
            return
        self._percent, self._due = transfer.percent, now + EVERY
        self._report(transfer)
