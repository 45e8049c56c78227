"""The three standard streams, as bytes: UTF-8 in any locale, as Multipass writes."""

from __future__ import annotations

import posix

from client.errors import ClientError
from client.messages import cannot_write

STDIN, STDOUT, STDERR = 0, 1, 2
COLUMNS = 80
# A signal just before a wait begins does not interrupt it, and Python handles it only afterwards:
# no wait is longer than this, so that Ctrl-C is never ignored.
HANDLE_SIGNALS_EVERY = 0.5  # seconds


class OutputError(ClientError):
    """A write to stdout failed; `closed` if its reader has closed it."""

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
    """Write to stderr at once; errors of the write are ignored."""
    try:
        _write(STDERR, text)
    except OSError:
        return


def line_out(text: str) -> None:
    out(text + "\n")


def line_err(text: str) -> None:
    err(text + "\n")


def log(level: str, category: str, text: str) -> None:
    """A log line of the client, in the form of the service's."""
    line_err(log_line(level, category, text))


def log_line(level: str, category: str, text: str) -> str:
    import time

    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now))
    return f"[{stamp}.{int(now * 1000) % 1000:03d}] [{level}] [{category}] {text}"


def output_is_terminal() -> bool:
    return posix.isatty(STDOUT)


def columns() -> int:
    """The width of the terminal, 80 if it is unknown."""
    try:
        return posix.get_terminal_size(STDOUT).columns or COLUMNS
    except OSError:
        return COLUMNS


def wait_for_input(descriptor: int = STDIN) -> None:
    """Wait until stdin is readable or at its end."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not poll.poll(HANDLE_SIGNALS_EVERY * 1000):
        pass


def is_live() -> bool:
    """Whether the user can be asked: stdin and stdout are both terminals."""
    return posix.isatty(STDIN) and posix.isatty(STDOUT)


def _write(descriptor: int, text: str) -> None:
    # Without Python's buffers, so that nothing is left to flush and the order is kept.
    data = memoryview(text.encode("utf-8", "surrogateescape"))
    while data:
        data = data[posix.write(descriptor, data) :]


def ensure_descriptors() -> None:
    """Open /dev/null in place of standard streams that the caller closed.

    Else the connection to the service would get their descriptor, and printed text be sent to it.
    """
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            posix.fstat(descriptor)
        except OSError:
            posix.open("/dev/null", posix.O_RDWR)  # takes the lowest free number: this one
