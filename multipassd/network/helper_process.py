"""The network helper as a child of a daemon that systemd did not start: on request only, with the
rights that its unit would give it, and for as long as the daemon runs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import time
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from multipassd.network.errors import HelperError
from multipassd.network.state_directory import DEFAULT_DIRECTORY, DIRECTORY
from multipassd.network.tools import PATH
from multipassd.system import installation, log

PROGRAM = installation.program("multipass-network")
SOCKET_FILE = "network.sock"
# As the unit has it in CapabilityBoundingSet=.
RIGHTS = ("net_admin", "net_bind_service", "net_raw", "setuid", "setgid", "kill")
# The protocol of socket activation: the listener is descriptor 3, and the process is named.
ACTIVATED = ("/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@" 3<&0 </dev/null', "sh")
STATE_MODE = 0o755  # dnsmasq's own user reads what lies there; nothing in it is secret
RESTART_SECONDS = 1.0
STEADY_SECONDS = 10.0  # a child that ended sooner, and failed, may fail again
FAILURES = 5  # in succession; then it is started by the next request
STOP_SECONDS = 90.0  # it may be changing one of the host's devices
BACKLOG = 16

_log = log.get("network")


class NetworkHelper:
    """Works like a socket unit and its service: a request starts the helper if it does not run."""

    def __init__(self, base: Path, environ: Mapping[str, str]) -> None:
        """Raises HelperError. `base` is the daemon's storage."""
        import shutil  # slow to import, and rarely needed

        self.socket = base / SOCKET_FILE
        self.directory = Path(environ.get(DIRECTORY) or state_directory(base))
        if os.geteuid() != 0:
            raise HelperError(
                "--network=bridge changes this host's network, which only root may do. Please "
                "start multipassd as root, or leave the option out."
            )
        setpriv = shutil.which("setpriv", path=PATH)
        if setpriv is None:
            raise HelperError(
                "--network=bridge needs the program setpriv, to take rights away from the "
                "network's service. Please install the package util-linux."
            )
        self._command = (*ACTIVATED, setpriv, *_rights(), PROGRAM, "serve")
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._listener: socket.socket

    def start(self) -> None:
        """Start the helper at once, because guests of an earlier daemon may run. Raises
        HelperError."""
        try:
            self._prepare()
        except OSError as error:
            raise HelperError(f"--network=bridge is not possible: {error}.") from None
        self._task = asyncio.get_running_loop().create_task(self._run())

    def _prepare(self) -> None:
        if not self.directory.exists():
            self.directory.mkdir(parents=True)
            self.directory.chmod(STATE_MODE)  # regardless of the umask
        with suppress(FileNotFoundError):
            self.socket.unlink()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(self.socket))
        finally:
            os.umask(before)
        self._listener.listen(BACKLOG)

    async def stop(self) -> None:
        """End the helper. What running guests use stays, except DHCP and DNS."""
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._listener.close()
        with suppress(OSError):
            self.socket.unlink()

    async def _run(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            code = await self._once()
            failures = failures + 1 if code and time.monotonic() - began < STEADY_SECONDS else 0
            if code:
                _log.error("the network's service ended with %d", code)
                await asyncio.sleep(RESTART_SECONDS)
            if not code or failures >= FAILURES:
                await self._connection()

    async def _once(self) -> int:
        """Run the helper until it ends; returns its exit code."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=self._listener.fileno(),
                env={"PATH": PATH, "LISTEN_FDS": "1", DIRECTORY: str(self.directory)},
            )
        except OSError as error:
            _log.error("the network's service can't be started: %s", error)
            return 1
        return await self._process.wait()

    async def _connection(self) -> None:
        """Wait for a connection to the socket."""
        loop, connected = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._listener, connected.set)
        try:
            await connected.wait()
        finally:
            loop.remove_reader(self._listener)


def state_directory(base: Path) -> Path:
    """The helper's directory: beside the package's, and not in the storage, which may be in root's
    home, because dnsmasq's user must be able to enter it."""
    mark = hashlib.sha256(os.fsencode(base.absolute())).hexdigest()[:8]
    return Path(f"{DEFAULT_DIRECTORY}-{mark}")


def _rights() -> tuple[str, ...]:
    """setpriv's options: it drops all other rights, and the helper ends with the daemon."""
    kept = ",".join(f"+{right}" for right in RIGHTS)
    return (
        "--bounding-set", f"-all,{kept}", "--inh-caps", "-all", "--ambient-caps", "-all",
        "--no-new-privs", "--pdeathsig", "TERM", "--",
    )  # fmt: skip
