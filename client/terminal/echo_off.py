"""Switch the terminal's echo off for a secret, and on again after any signal.

Imported only to ask for a secret: termios and signal would cost other commands time.
"""

from __future__ import annotations

import os
import signal
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Handler = Callable[[int, FrameType | None], None]

DEADLY = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


class Silence:
    """Switches the echo off, as a context manager; `resumed` is called after Ctrl-Z and `fg`.

    Signals have their default effect, after the echo was restored. Raises termios.error.
    """

    def __init__(self, terminal: int, resumed: Callable[[], None]) -> None:
        self._terminal = terminal
        self._resumed = resumed
        self._before = termios.tcgetattr(terminal)
        self._silent = termios.tcgetattr(terminal)
        self._silent[3] &= ~termios.ECHO
        self._handlers: dict[int, Any] = {}
        self._went_on = False  # after a stop; only once, as input since then is kept

    def __enter__(self) -> None:
        self._handle(self._end, *DEADLY)
        termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._silent)
        # Only now: a background process is stopped by that call, and with a handler for SIGCONT
        # the call would fail with EINTR when it is continued, instead of being restarted.
        self._handle(self._stop, signal.SIGTSTP)
        self._handle(self._go_on, signal.SIGCONT)

    def __exit__(self, *_: object) -> None:
        try:
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
        finally:
            for number, before in self._handlers.items():
                signal.signal(number, before)

    def _handle(self, handler: Handler, *numbers: int) -> None:
        for number in numbers:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                self._handlers[number] = signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        self._set(self._before)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self._went_on = False
        self._end(number, _)
        signal.signal(number, self._stop)
        if not self._went_on:  # the kernel does not stop a process of an orphaned group
            self._set(self._silent)

    def _go_on(self, _number: int, _frame: FrameType | None) -> None:
        self._went_on = True
        if signal.SIGTSTP in self._handlers:  # first, so that the next stop is handled
            signal.signal(signal.SIGTSTP, self._stop)
        if self._is_ours():
            self._set(self._silent)
            self._resumed()

    def _set(self, modes: list[Any]) -> None:
        """Not from the background: the terminal then has the modes of the foreground process."""
        if self._is_ours():
            try:
                termios.tcsetattr(self._terminal, termios.TCSAFLUSH, modes)
            except termios.error:
                return  # the terminal was hung up

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            return True  # not this process's controlling terminal: no job control
