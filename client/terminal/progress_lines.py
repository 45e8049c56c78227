"""Progress of `launch --format json`: one JSON document a line, for programs that show it."""

from __future__ import annotations

import time

from client.terminal import console
from client.terminal.progress import Progress

AT_MOST_EVERY = 0.5  # seconds between two lines of one stage


def write(**document: str | int | None) -> None:
    """Raises OutputError."""
    import json

    console.line_out(json.dumps(document))


class ProgressLines(Progress):
    """As `Progress`; each line has `stage`, and `percent` where it is known."""

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[str, str | int | None] = {}
        self._at = 0.0

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is on the screen that would have to be removed."""

    def log(self, lines: str) -> None:
        console.err(lines)

    def stage(self, text: str) -> None:
        with self._lock:
            self._label = text
            self._show(None)

    def percent(self, label: str, percent: int) -> None:
        with self._lock:
            self._label = label
            self._show(percent)

    def _show(self, percent: int | None) -> None:
        document: dict[str, str | int | None] = {
            "stage": self._label.rstrip(" :"),
            "percent": percent,
        }
        now = time.monotonic()
        same = document["stage"] == self._written.get("stage")
        if document == self._written or (same and now - self._at < AT_MOST_EVERY):
            return
        self._written, self._at = document, now
        write(**document)
