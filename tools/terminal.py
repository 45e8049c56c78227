"""Run a program at a real pseudo-terminal and answer its prompts."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

PATIENCE = 60.0  # seconds for a whole program, on a machine that is busy with other tests
UNENDED = ("\x03", "\x04")
# By a program: Python between fork and exec may hang if there are other threads.
OWN_TERMINAL = ("setsid", "--ctty", "env", "--default-signal=INT")


class Credentials(TypedDict, total=False):
    """The user to run a program as, as arguments of subprocess; empty for the current user."""

    user: int
    group: int
    extra_groups: Sequence[int]


@dataclass(frozen=True)
class Session:
    """The terminal's text at the end of the program, and its exit code."""

    output: str
    returncode: int


def converse(
    command: Sequence[str],
    answers: Iterable[tuple[str, str]],
    env: Mapping[str, str],
    *,
    credentials: Credentials | None = None,
    timeout: float = PATIENCE,
    interruptible: bool = False,
) -> Session:
    """Start ``command``, type each answer once its prompt is there; input and errors share the tty.

    ``answers`` are pairs of the prompt to wait for and the line to type. A line that ends in
    ``\\x04``, the end of input, or ``\\x03``, is typed without a newline. The latter is Ctrl-C for
    a program that is ``interruptible``: the terminal is its controlling terminal.
    """
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*OWN_TERMINAL, *command] if interruptible else command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=dict(env),
        cwd="/",
        start_new_session=not interruptible,
        **(credentials or {}),
    )
    os.close(slave)
    deadline = time.monotonic() + timeout
    screen = bytearray()
    try:
        at = 0
        for prompt, answer in answers:
            at = _read_until(master, screen, prompt.encode(), at, deadline)
            os.write(master, answer.encode() + (b"" if answer.endswith(UNENDED) else b"\n"))
        _read_until(master, screen, None, at, deadline)
        returncode = process.wait(max(0.1, deadline - time.monotonic()))
    finally:
        os.close(master)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return Session(screen.decode(errors="replace").replace("\r\n", "\n"), returncode)


def _read_until(
    master: int, screen: bytearray, wanted: bytes | None, at: int, deadline: float
) -> int:
    """Read until ``wanted`` is found at or after ``at``, or to the end; the offset behind it."""
    while True:
        if wanted is not None and (found := screen.find(wanted, at)) >= 0:
            return found + len(wanted)
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([master], [], [], left)[0]:
            raise TimeoutError(f"waited for {wanted!r}; on the terminal: {bytes(screen)!r}")
        try:
            chunk = os.read(master, 4096)
        except OSError:  # EIO: the program closed its side
            chunk = b""
        if not chunk:
            if wanted is None:
                return len(screen)
            raise EOFError(f"ended before {wanted!r}; on the terminal: {bytes(screen)!r}")
        screen += chunk
