"""How far `launch` has come: redrawn on a terminal, a line a step elsewhere."""

from __future__ import annotations

import time

from client import console, sentences
from client.spinner import Spinner

STEP = 10  # percent between two lines where nothing can be redrawn
SURE_AFTER = 3  # percent and seconds that must have passed before the rest is guessed


class Progress:
    """`with Progress() as progress:`; every text is shown once, however often it is reported."""

    def __init__(self) -> None:
        self._spinner = Spinner()
        self._terminal = console.output_is_terminal()
        self._label = ""
        self._shown = -STEP
        self._began = 0.0

    def __enter__(self) -> Progress:
        self._spinner.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._spinner.__exit__(*exception)

    def log(self, lines: str) -> None:
        self._spinner.log(lines)

    def stage(self, text: str) -> None:
        if text == self._label:
            return
        self._label = text
        if self._terminal:
            self._spinner.show(text)
        else:
            console.line_out(text.rstrip(" :"))

    def percent(self, label: str, percent: int) -> None:
        """`label` ends where the number goes."""
        if label != self._label:
            self._label, self._shown, self._began = label, -STEP, time.monotonic()
        if self._terminal:
            self._spinner.show(f"{label}{percent}%{self._left(percent)}", still=True)
        elif percent >= self._shown + STEP or percent == 100 != self._shown:
            self._shown = percent
            console.line_out(f"{label}{percent}%")

    def _left(self, percent: int) -> str:
        passed = time.monotonic() - self._began
        if percent >= 100 or min(percent, passed) < SURE_AFTER:
            return ""
        return f" ({sentences.time_left(int(passed * (100 - percent) / percent))})"
