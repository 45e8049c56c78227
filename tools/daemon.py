"""Start, watch and stop the real daemon of this checkout in a sandbox."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.notify import NotifySocket
from tools.sandbox import CHECKOUT, MULTIPASS, MULTIPASSD, Sandbox, daemon_command

READY_SECONDS = 30.0  # a start takes half a second; other tests may keep the machine busy
STOP_SECONDS = 20.0
CLI_SECONDS = 60.0


class Daemon:
    """One daemon, bound by itself or (``activated``) started by the first caller of its socket.

    Use ``start()``, then the sandbox's paths, ``cli()`` and ``log_text()``; ``stop()`` checks that
    it ended well.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        activated: bool = False,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        expected_exit: int = 0,
    ):
        self.sandbox = sandbox
        self.activated = activated
        self.options = list(options)
        self.extra_env = dict(env or {})
        self.expected_exit = expected_exit
        self._command = daemon_command()
        self.process: subprocess.Popen[bytes] | None = None
        self.started = self.ready_seconds = 0.0

    # Paths, as shortcuts for tests.

    @property
    def address(self) -> str:
        return self.sandbox.address

    @property
    def socket_path(self) -> Path:
        return self.sandbox.socket_path

    @property
    def data(self) -> Path:
        return self.sandbox.data

    @property
    def store_path(self) -> Path:
        return self.sandbox.store_path

    @property
    def root_cert(self) -> Path:
        return self.sandbox.root_cert

    def env(self, client: str = "alice") -> dict[str, str]:
        return self.sandbox.env(client)

    def log_text(self) -> str:
        try:
            return self.sandbox.log_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    @property
    def pid(self) -> int:
        """The daemon's own pid, also when an activator started it."""
        if not self.activated:
            assert self.process is not None, "the daemon was not started"
            return self.process.pid
        return int(self.sandbox.pid_path.read_text(encoding="ascii"))

    # Life.

    def run_by(self, uid: int, gid: int, copy: Path) -> None:
        """Run the daemon as this user from now on, from a `copy` that they can read."""
        setpriv = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--"]
        self._command = [*setpriv, str(copy / "bin" / "multipassd"), "--logger", "stderr"]

    def run_inside(self, entering: Sequence[str]) -> None:
        """Run the daemon by these words from now on, where there is a journal to log to."""
        self._command = [*entering, sys.executable, "-IS", str(MULTIPASSD)]

    def start(self) -> "Daemon":
        command = [*self._command, *self.options]
        if self.activated:
            command = [
                sys.executable, "-m", "tools.activate", "--socket", str(self.socket_path),
                "--pid-file", str(self.sandbox.pid_path), "--", *command,
            ]  # fmt: skip
        elif "--address" not in self.options:
            command += ["--address", self.address]
        with NotifySocket(self.sandbox.root / "notify.sock") as notify:
            notify.path.chmod(0o666)  # also output of another user's daemon
            self.started = time.monotonic()
            self.process = self._spawn(command, notify.path)
            try:
                if self.activated:
                    self._await_socket()
                else:
                    self.ready_seconds = notify.wait_for("READY=1", READY_SECONDS) - self.started
            except (TimeoutError, ConnectionError) as error:
                self.process.kill()
                self.process.wait()
                self.process = None
                raise AssertionError(f"no start: {error}\n{self.log_text()}") from None
        return self

    def _spawn(self, command: list[str], notify: Path) -> subprocess.Popen[bytes]:
        environment = {**self.sandbox.daemon_env(), **self.extra_env}
        if not self.activated:
            environment["NOTIFY_SOCKET"] = str(notify)
        with self.sandbox.log_path.open("ab") as log:
            return subprocess.Popen(
                command,
                env=environment,
                cwd=CHECKOUT if self.activated else "/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _await_socket(self) -> None:
        """Wait until the activator listens, without a connection, which would start the daemon."""
        assert self.process is not None
        deadline = time.monotonic() + READY_SECONDS
        while not (self.socket_path.exists() and self.socket_path.stat().st_mode & 0o777):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ConnectionError("the activator made no socket")
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9 the daemon itself; an activator goes on and starts the next one."""
        os.kill(self.pid, signal.SIGKILL)
        if not self.activated:
            assert self.process is not None
            self.process.wait(STOP_SECONDS)
            self.process = None

    def abandon(self) -> None:
        """End it after a test that failed; `stop` leaves nothing to do."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """SIGTERM; it must end with the expected exit code and no traceback in its log."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the daemon ignored SIGTERM\n{self.log_text()}") from None
        text = self.log_text()
        assert code == self.expected_exit, f"the daemon ended with {code}\n{text}"
        assert "Traceback (most recent call last)" not in text, text

    def restart(self) -> "Daemon":
        self.stop()
        return self.start()

    # Clients.

    def cli(
        self,
        client: str,
        *arguments: str,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = CLI_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``bin/multipass`` as ``client``; without ``input`` its stdin is empty."""
        return subprocess.run(
            [str(MULTIPASS), *arguments],
            env={**self.env(client), **(env or {})},
            cwd="/",
            input="" if input is None else input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def connect(self) -> socket.socket:
        """A plain connection to the daemon's socket, for tests that speak below TLS."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # With Python's own time-out a full listen queue would be an error.
        limit = struct.pack("ll", int(CLI_SECONDS), 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        connection.connect(str(self.socket_path))
        connection.settimeout(CLI_SECONDS)
        return connection
