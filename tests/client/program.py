"""Runs the client as a process, in an environment of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "bin" / "multipass"


class Program:
    """The client of one user: a home, a root certificate's place and a server address."""

    def __init__(self, home: Path, address: str, root_certificate: Path) -> None:
        self.home = home
        self.environ = {
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "MULTIPASS_SERVER_ADDRESS": address,
            "MULTIPASS_ROOT_CERT": str(root_certificate),
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
        }

    def run(self, *words: str, input: bytes = b"", **environ: str) -> Result:
        done = subprocess.run(
            [PROGRAM, *words],
            input=input,
            capture_output=True,
            env=self.environ | environ,
            cwd="/",
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"<exit {self.code}\nstdout: {self.out!r}\nstderr: {self.err!r}>"
