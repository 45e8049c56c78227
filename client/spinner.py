"""The turning bar of a command that waits, on terminals only."""

from __future__ import annotations

from client import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

CLEAR = "\x1b[2K\x1b[0A\x1b[0E"  # erase the line and go to its start
FRAMES = "/-\\|"
EVERY = 0.1  # seconds


class Spinner:
    """`with Spinner("Working"):` turns until the block ends, and leaves nothing behind."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        if not console.output_is_terminal():
            return
        import threading

        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True)
        console.out(f"{CLEAR}{self._text}  ")
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        console.out(f"\b {CLEAR}")

    def _turn(self) -> None:
        step = 0
        while not self._stop.wait(EVERY):
            console.out("\b" + FRAMES[step % len(FRAMES)])
            step += 1
