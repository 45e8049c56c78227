"""A spinner for commands that wait, on terminals only."""

from __future__ import annotations

from client.terminal import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

CLEAR = "\x1b[2K\x1b[0A\x1b[0E"  # erase the line and go to its start
FRAMES = "/-\\|"
EVERY = 0.1  # seconds


class Spinner:
    """`with Spinner("Working"):` turns until the block ends, and leaves nothing behind."""

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._still = not text
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Spinner:
        if console.output_is_terminal():
            import threading

            self._stop = threading.Event()
            self._lock = threading.Lock()  # lines are written whole
            self._thread = threading.Thread(target=self._turn, daemon=True)
            self._draw()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        console.out(CLEAR if self._still else f"\b {CLEAR}")

    def show(self, text: str, still: bool = False) -> None:
        """Continue with another text; without turning if the text itself changes with time."""
        if self._thread is None:
            return
        with self._lock:
            if (text, still) != (self._text, self._still):
                self._text, self._still = text, still
                self._draw()

    def log(self, lines: str) -> None:
        """Write to stderr, on a line of its own."""
        if self._thread is None:
            console.err(lines)
            return
        with self._lock:
            console.out(CLEAR)
            console.err(lines)
            self._draw()

    def keep(self, text: str) -> None:
        """A line of stdout that stays, above the spinner."""
        if self._thread is None:
            console.line_out(text)
            return
        with self._lock:
            console.out(f"{CLEAR}{text}\n")
            self._draw()

    def _draw(self) -> None:
        console.out(f"{CLEAR}{self._text}" if self._still else f"{CLEAR}{self._text}  ")

    def _turn(self) -> None:
        step = 0
        while not self._stop.wait(EVERY):
            with self._lock:
                if not self._still:
                    console.out("\b" + FRAMES[step % len(FRAMES)])
            step += 1
