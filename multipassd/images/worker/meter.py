"""Limits how often a transfer's progress is reported."""

from __future__ import annotations

import time
from collections.abc import Callable

from multipassd.images.image import Transfer

EVERY = 0.25  # seconds: often enough for a display that is updated each second


class Meter:
    """Reports each new per cent, and at least each EVERY seconds."""

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
