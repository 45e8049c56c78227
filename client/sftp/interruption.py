"""Ctrl-C, SIGTERM and SIGHUP during a transfer: taken note of where nothing is half sent."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The transfer is to end; `code` is the exit code, as of shells."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number
        super().__init__(number)


class Interruption:
    """`with Interruption() as interruption:`; while it is `deferred`, the first signal is raised by
    `check` and only a second one at once."""

    def __init__(self) -> None:
        self.deferred = False
        self._number = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # what nohup ignores stays ignored
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises Interrupted."""
        if self._number:
            raise Interrupted(self._number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._number or not self.deferred:
            raise Interrupted(number)
        self._number = number
