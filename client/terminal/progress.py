"""Progress of `launch`: redrawn on a terminal, one line for each step elsewhere."""

from __future__ import annotations

import time
from _thread import allocate_lock

from client import instance_messages
from client.render import download_line as rendering
from client.terminal import console
from client.terminal.spinner import Spinner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.render.download_line import Transfer

STEP = 10  # per cent between two lines without a terminal
SURE_AFTER = 3  # per cent and seconds before the time left is estimated
RETRIEVING, PREPARING = "Retrieving image: ", "Preparing image: "
FETCHING = (RETRIEVING, PREPARING)  # the latter if another launch downloads the image


class Progress:
    """`with Progress() as progress:`; every text is shown once, however often it is reported."""

    def __init__(self) -> None:
        self._spinner = Spinner()
        self._terminal = console.output_is_terminal()
        self._lock = allocate_lock()  # `transfer` is called by another thread
        self._label = ""
        self._percent: int | None = None
        self._transfer: Transfer | None = None
        self._shown = -STEP
        self._began = 0.0

    def __enter__(self) -> Progress:
        self._spinner.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._begin("")
        self._spinner.__exit__(*exception)

    def log(self, lines: str) -> None:
        self._spinner.log(lines)

    def stage(self, text: str) -> None:
        with self._lock:
            if text == self._label:
                return
            self._begin(text)
            if self._terminal:
                self._draw()
            else:
                console.line_out(text.rstrip(" :"))

    def percent(self, label: str, percent: int) -> None:
        """`label` ends where the number goes."""
        with self._lock:
            if label != self._label:
                self._begin(label)
                self._began = time.monotonic()
            self._percent = percent
            if self._terminal:
                self._draw()
            elif percent >= self._shown + STEP or percent == 100 != self._shown:
                self._shown = percent
                console.line_out(f"{label}{percent}%")

    def transfer(self, transfer: Transfer | None) -> None:
        """Update the download that the current stage waits for, if it waits for one."""
        with self._lock:
            if self._label in FETCHING:
                self._transfer = transfer
                self._draw()

    def _begin(self, label: str) -> None:
        self._label, self._percent, self._shown = label, None, -STEP
        if label not in FETCHING:
            self._transfer = None

    def _draw(self) -> None:
        if self._transfer is not None:
            columns = console.columns() - 1  # terminals differ in when the last column wraps
            text = rendering.line(RETRIEVING, self._transfer, self._percent, columns)
        elif self._percent is not None:
            text = f"{self._label}{self._percent}%{self._left(self._percent)}"
        else:
            return self._spinner.show(self._label, still=False)
        self._spinner.show(text, still=True)

    def _left(self, percent: int) -> str:
        passed = time.monotonic() - self._began
        if percent >= 100 or min(percent, passed) < SURE_AFTER:
            return ""
        return f" ({instance_messages.time_left(int(passed * (100 - percent) / percent))})"
