"""The progress of `transfer` on a terminal: bytes, rate and time left. Nothing elsewhere."""

from __future__ import annotations

import time

from client.render import download_line
from client.render.download_line import Transfer
from client.terminal import console
from client.terminal.rate import Rate
from client.terminal.spinner import Spinner

LABEL = "Transferring: "
EVERY = 0.2  # seconds between two lines; a transfer that takes less shows none


class TransferLine:
    """`with TransferLine(shown) as line:`; without the time left until `expect` was called."""

    def __init__(self, shown: bool) -> None:
        self._size = 0
        self._total = 0
        self._rate = Rate()
        self._spinner = Spinner() if shown and console.output_is_terminal() else None
        self._next = time.monotonic() + EVERY

    @property
    def is_shown(self) -> bool:
        return self._spinner is not None

    def __enter__(self) -> TransferLine:
        if self._spinner is not None:
            self._spinner.__enter__()
            self._rate.add(time.monotonic(), 0)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._spinner is not None:
            self._spinner.__exit__(*exception)

    def expect(self, size: int) -> None:
        """So many bytes will come or go."""
        self._size = size

    def moved(self, count: int) -> None:
        """So many more bytes have come or gone."""
        self._total += count
        if self._spinner is None or (now := time.monotonic()) < self._next:
            return
        self._next = now + EVERY
        self._rate.add(now, self._total)
        left = self._rate.left(self._size - self._total) if self._size > self._total else None
        state = Transfer(self._total, self._size, self._rate.per_second(), left)
        columns = console.columns() - 1  # terminals differ in when the last column wraps
        self._spinner.show(download_line.line(LABEL, state, None, columns), still=True)

    def failed(self, sentence: str) -> None:
        """A log line of the client, above the line of the progress."""
        if self._spinner is not None:
            self._spinner.log(console.log_line("error", "sftp", sentence) + "\n")
        else:
            console.log("error", "sftp", sentence)
