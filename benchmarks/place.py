"""The servers that are measured: a daemon with one trusted client, and the grpcio server."""

import ssl
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.wire import Connection, context
from tools.daemon import Daemon
from tools.sandbox import CHECKOUT, MULTIPASS, Sandbox

CLIENT = "bench"


@dataclass
class Place:
    """Both servers, running; the client's certificate was the first and is trusted."""

    quick: bool
    sandbox: Sandbox
    daemon: Daemon
    reference: subprocess.Popen[bytes] | None = None

    @classmethod
    def open(cls, quick: bool) -> "Place":
        sandbox = Sandbox.create()
        place = cls(quick, sandbox, Daemon(sandbox))
        try:
            place.daemon.start()
            done = place.daemon.cli(CLIENT, "list")
            if done.returncode:
                raise RuntimeError(f"the first list failed: {done.stderr}")
            place.reference = place._start_reference()
        except BaseException:
            place.close()
            raise
        return place

    def _start_reference(self) -> subprocess.Popen[bytes]:
        certificates = self.sandbox.data / "certificates"
        process = subprocess.Popen(
            [
                sys.executable, "-m", "benchmarks.grpcio_server", str(self.reference_path),
                str(certificates / "localhost.pem"), str(certificates / "localhost_key.pem"),
                str(self.mutual_path), str(self.sandbox.certificate(CLIENT)),
            ],
            cwd=CHECKOUT, env=self.sandbox.daemon_env(), stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        if process.stdout.readline() != b"READY\n":
            raise RuntimeError("the grpcio server did not start")
        return process

    @property
    def env(self) -> dict[str, str]:
        return self.sandbox.env(CLIENT)

    @property
    def reference_path(self) -> Path:
        return self.sandbox.root / "grpcio.sock"

    @property
    def mutual_path(self) -> Path:
        """Where the reference asks for the client's certificate."""
        return self.sandbox.root / "grpcio-mutual.sock"

    @property
    def reference_pid(self) -> int:
        assert self.reference is not None
        return self.reference.pid

    @property
    def list_command(self) -> list[str]:
        return [str(MULTIPASS), "list"]

    @cached_property
    def both(self) -> tuple[Path, Path]:
        """The sockets of the daemon and of the reference."""
        return self.sandbox.socket_path, self.reference_path

    def connect(self, path: Path) -> Connection:
        return Connection(path, self._tls)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        sandbox = self.sandbox
        return context(sandbox.root_cert, sandbox.certificate(CLIENT), sandbox.key(CLIENT))

    def scaled(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def close(self) -> None:
        if self.reference is not None:
            self.reference.terminate()
            self.reference.wait()
        try:
            self.daemon.stop()
        finally:
            self.sandbox.remove()

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
