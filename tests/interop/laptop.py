"""A daemon that serves TCP, and a client on another machine, with nothing of that daemon's."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import ports
from tests.conftest import DaemonFactory
from tools.daemon import Daemon
from tools.sandbox import MULTIPASS

ADMIN = "alice"
LINE = re.compile(r"multipass authenticate (mpi1-\S+)")


class Site:
    """A daemon on a Unix socket, where alice is the first client, and on TCP."""

    def __init__(self, running: Daemon, address: str) -> None:
        self.daemon = running
        self.address = address
        assert running.cli(ADMIN, "list").returncode == 0

    def invite(self, name: str = "bob", *words: str) -> str:
        done = self.daemon.cli(ADMIN, "invite", name, *words)
        assert done.returncode == 0, done
        found = LINE.search(done.stdout)
        assert found
        return found[1]

    def names(self) -> list[str]:
        """Of clients, and of invitations that wait."""
        done = self.daemon.cli(ADMIN, "clients", "--format", "json")
        return [each["name"] for each in json.loads(done.stdout)["clients"]]


class Laptop:
    """A client on another machine: a home, and neither a root certificate nor an environment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)
        self.file = home / "config" / "multipass" / "multipass_remotes.json"
        self.certificate = home / "data" / "multipass-client-certificate" / "multipass_cert.pem"
        self.environ = {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CONFIG_HOME": str(home / "config"),
            # So that a snap's service of the machine that the test runs on is not looked at.
            "SNAP_NAME": "",
            "SNAP_COMMON": str(home / "none"),
        }

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [MULTIPASS, *words],
            env={**self.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def run(self, *words: str, input: str = "", **environ: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        with self.start(*words, **environ) as process:
            out, err = process.communicate(input, timeout=60)
        return process.returncode, out, err

    def done(self, *words: str, input: str = "", **environ: str) -> str:
        code, out, err = self.run(*words, input=input, **environ)
        assert (code, err) == (0, ""), (words, out, err)
        return out

    def fails(self, *words: str, input: str = "", **environ: str) -> str:
        code, out, err = self.run(*words, input=input, **environ)
        assert code in (1, 2), (words, code, out, err)
        return err


@contextmanager
def serving(daemon: DaemonFactory) -> Iterator[Site]:
    with ports.reserved() as port:
        address = f"{ports.LOOPBACK}:{port}"
        running = daemon(start=False)
        running.options += ["--address", running.address, "--address", address]
        yield Site(running.start(), address)
