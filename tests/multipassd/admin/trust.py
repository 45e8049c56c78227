"""`multipass-trust` as a process, on the data of a sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from protocol.certificates import KeyPair, make_client
from protocol.pem import fingerprint, pem_to_der
from tools.sandbox import CHECKOUT, Sandbox

TRUST = CHECKOUT / "bin" / "multipass-trust"


class Trust:
    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.data = sandbox.data

    @property
    def store(self) -> Path:
        return self.sandbox.store_path

    def run(
        self, verb: str, *arguments: str | Path, input: bytes = b""
    ) -> subprocess.CompletedProcess[str]:
        options = ["--socket", str(self.sandbox.socket_path)]
        done = subprocess.run(
            [sys.executable, "-I", str(TRUST), verb, *options, *map(str, arguments)],
            env=self.sandbox.daemon_env(),
            cwd="/",
            input=input,
            capture_output=True,
            timeout=60,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def done(self, verb: str, *arguments: str | Path, input: bytes = b"") -> str:
        done = self.run(verb, *arguments, input=input)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def refused(self, verb: str, *arguments: str | Path, input: bytes = b"") -> str:
        done = self.run(verb, *arguments, input=input)
        assert done.returncode == 1, done.stdout + done.stderr
        assert done.stderr.startswith("multipass-trust: ")
        return done.stderr

    def put(self, path: Path, *pairs: KeyPair) -> Path:
        path.write_bytes(b"".join(pair.certificate for pair in pairs))
        return path


def client() -> tuple[KeyPair, str]:
    pair = make_client()
    return pair, fingerprint(pem_to_der(pair.certificate))


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below `root`, to prove that nothing of it changes."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[os.fspath(path)] = (status.st_mode, status.st_mtime_ns, content)
    return found
