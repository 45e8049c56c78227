"""The client on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
from pathlib import Path

from tests.client.program import PROGRAM, Program

PATIENCE = 30  # seconds for anything to appear


class Terminal:
    """The client on a terminal of its own; `shown` is all that the terminal showed."""

    def __init__(
        self,
        program: Program,
        *words: str,
        command: tuple[str | Path, ...] = (PROGRAM,),
        controls: bool = False,
    ) -> None:
        """With `controls` it is the controlling terminal, and takes stderr, too."""
        self._master, slave = pty.openpty()
        self.shown = ""
        self._read = 0
        self.process = subprocess.Popen(
            [*(["setsid", "--ctty"] if controls else []), *command, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave if controls else subprocess.PIPE,
            env=program.environ,
            cwd="/",
            start_new_session=not controls,
        )
        self._slave = slave

    def answer(self, question: str, line: bytes) -> None:
        """Waits for the question with the echo off, then types."""
        self._wait_for(question)
        assert not self.echoes()
        os.write(self._master, line)

    def reply(self, question: str, line: bytes) -> None:
        """The same to a question whose answer may be seen."""
        self._wait_for(question)
        os.write(self._master, line)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    def finish(self) -> tuple[int, str]:
        """The exit code, and what went to stderr."""
        _, err = self.process.communicate(timeout=PATIENCE)
        while self._more(0):
            pass
        return self.process.returncode, (err or b"").decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        os.close(self._master)
        os.close(self._slave)

    def _wait_for(self, text: str) -> None:
        while text not in self.shown[self._read :]:
            assert self._more(PATIENCE), f"{text!r} did not appear in {self.shown!r}"
        self._read = self.shown.index(text, self._read) + len(text)

    def _more(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        self.shown += os.read(self._master, 4096).decode()
        return True
