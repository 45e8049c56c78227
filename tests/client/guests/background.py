"""The client while it runs: beside the test, or on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.client.program import PROGRAM, Program
from tests.waiting import PATIENCE


class Background:
    """A client that runs until it is ended; its children are those of its session."""

    session_made_by: tuple[str, ...] = ("setsid",)

    def __init__(
        self, program: Program, *words: str, entering: Sequence[str] = (), **options: Any
    ) -> None:
        """`entering`: the command that runs another one elsewhere, as in a namespace."""
        self.process: Any = subprocess.Popen(
            [*self.session_made_by, *entering, PROGRAM, *words], env=program.environ, cwd="/",
            **({"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | options),
        )  # fmt: skip

    def session(self) -> list[Path]:
        """The processes of its session, by their directories in /proc."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                fields = (path / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(path)
        return found

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class OnTerminal(Background):
    """On a terminal that is its own, of 33 lines and 77 columns."""

    session_made_by = ("setsid", "--ctty")

    def __init__(self, program: Program, *words: str, entering: Sequence[str] = ()) -> None:
        self.master, slave = pty.openpty()
        self.resize(33, 77)
        into = {"stdin": slave, "stdout": slave, "stderr": slave}
        super().__init__(program, *words, entering=entering, **into)
        os.close(slave)
        self.shown = b""

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def wait_for(self, text: bytes) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            try:
                self.shown += os.read(self.master, 4096)
            except OSError:  # the other side is closed
                assert text in self.shown, self.shown

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1

    def close(self) -> None:
        super().close()
        if self.master >= 0:
            self.hang_up()
