"""The three standard streams, as bytes: UTF-8 whatever the locale, as Multipass writes."""

from __future__ import annotations

import os

from client.errors import ClientError
from client.messages import cannot_write

STDIN, STDOUT, STDERR = 0, 1, 2
COLUMNS = 80
# A signal that comes in the instant before a wait begins does not end that wait, and Python acts on
# it only afterwards: nothing waits longer at a stretch, or Ctrl-C at that instant would be lost.
HEED_SIGNALS_EVERY = 0.5  # seconds


class OutputError(ClientError):
    """Standard output takes no more; `closed` when only its reader went away."""

    def __init__(self, error: OSError) -> None:
        super().__init__(cannot_write(error.strerror or str(error)))
        self.closed = isinstance(error, BrokenPipeError)


def out(text: str) -> None:
    """Writes to stdout at once. Raises OutputError."""
    try:
        _write(STDOUT, text)
    except OSError as error:
        raise OutputError(error) from error


def err(text: str) -> None:
    """Writes to stderr at once; when nobody can be told, nobody is."""
    try:
        _write(STDERR, text)
    except OSError:
        return


def line_out(text: str) -> None:
    out(text + "\n")


def line_err(text: str) -> None:
    err(text + "\n")


def log(level: str, category: str, text: str) -> None:
    """A line of the client's own log, in the form of the service's."""
    import time

    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now))
    line_err(f"[{stamp}.{int(now * 1000) % 1000:03d}] [{level}] [{category}] {text}")


def output_is_terminal() -> bool:
    return os.isatty(STDOUT)


def columns() -> int:
    """Of the terminal; what most have where it does not say."""
    try:
        return os.get_terminal_size(STDOUT).columns or COLUMNS
    except OSError:
        return COLUMNS


def wait_for_input(descriptor: int = STDIN) -> None:
    """Until there is something to read, or its end."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not poll.poll(HEED_SIGNALS_EVERY * 1000):
        pass


def is_live() -> bool:
    """Somebody can be asked: stdin and stdout are both terminals."""
    return os.isatty(STDIN) and os.isatty(STDOUT)


def _write(descriptor: int, text: str) -> None:
    # Below Python's own buffers, so that nothing is left to flush and order is kept.
    data = memoryview(text.encode("utf-8", "surrogateescape"))
    while data:
        data = data[os.write(descriptor, data) :]


def ensure_descriptors() -> None:
    """Opens /dev/null in place of standard streams that the caller closed.

    Else the connection to the service would take their number and be sent what is printed.
    """
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
