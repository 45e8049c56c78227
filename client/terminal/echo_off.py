"""A terminal that does not show what is typed, and shows it again whatever signal comes.

Imported only where a secret is asked for: termios and signal would cost plain commands time.
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
    """A context manager; `resumed` is called when the program was stopped meanwhile and goes on.

    Signals do what they do by default, once the terminal is as it was. Raises termios.error.
    """

    def __init__(self, terminal: int, resumed: Callable[[], None]) -> None:
        self._terminal = terminal
        self._resumed = resumed
        self._before = termios.tcgetattr(terminal)
        self._silent = termios.tcgetattr(terminal)
        self._silent[3] &= ~termios.ECHO
        self._handlers: dict[int, Any] = {}
        self._went_on = False  # after a stop; once is enough, as what is typed since then counts

    def __enter__(self) -> None:
        self._handle(self._end, *DEADLY)
        termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._silent)
        # Only now: whoever asks from the background is stopped by that call, and with a handler
        # for SIGCONT it would fail when he goes on, rather than be made again.
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
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup's wish stands
                self._handlers[number] = signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        self._set(self._before)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self._went_on = False
        self._end(number, _)
        signal.signal(number, self._stop)
        if not self._went_on:  # the kernel does not stop whom no shell could wake again
            self._set(self._silent)

    def _go_on(self, _number: int, _frame: FrameType | None) -> None:
        self._went_on = True
        if signal.SIGTSTP in self._handlers:  # before the question: who stops it then is heard
            signal.signal(signal.SIGTSTP, self._stop)
        if self._is_ours():
            self._set(self._silent)
            self._resumed()

    def _set(self, modes: list[Any]) -> None:
        """Not from the background: the terminal is then in the modes of whoever has it."""
        if self._is_ours():
            try:
                termios.tcsetattr(self._terminal, termios.TCSAFLUSH, modes)
            except termios.error:
                return  # it was hung up

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            return True  # no shell hands it from one to the other
