"""Sockets and TLS of the interpreter itself: with which Pythons, and what happens with others."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.transport.sockets import TRIED
from protocol import client_certificate
from protocol.messages.listing import InstancesList, ListReply
from tests.client.program import PROGRAM, Program
from tests.client.service import Service, replying

ROOT = PROGRAM.parent.parent
NOTHING = "No instances found.\n"
AS_ANOTHER = """
import sys
sys.path.insert(0, {root!r})
sys.version_info = (3, 99, 0, "final", 0)
from client.main import main
code = main(["list"])
assert "ssl" in sys.modules and "socket" in sys.modules
sys.exit(code)
"""


@pytest.fixture(params=["unix", "tcp"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Program]:
    """A client that has a certificate already: another Python may have no `cryptography`."""
    unix = request.param == "unix"
    reply = ListReply(instance_list=InstancesList())
    address = f"unix:{tmp_path}/socket" if unix else "127.0.0.1:0"
    service = Service(address, tmp_path, list=replying(reply))
    address = address if unix else f"127.0.0.1:{service.port}"
    made = Program(tmp_path / "home", address, service.root_certificate)
    client_certificate.ensure(tmp_path / "home/data/multipass-client-certificate")
    yield made
    service.close()


def python(major: int, minor: int) -> str:
    """Its path. Skips the test where this machine has none."""
    name = f"python{major}.{minor}"
    own = glob.glob(os.path.expanduser(f"~/.pyenv/versions/{major}.{minor}.*/bin/{name}"))
    for path in (f"/usr/bin/{name}", shutil.which(name), *own):
        if path and _runs(path):
            return path
    pytest.skip(f"{name} is not installed")


def _runs(path: str) -> bool:
    try:
        return subprocess.run([path, "-c", "import ssl"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize("version", TRIED)
def test_a_list_loads_neither_ssl_nor_socket(program: Program, version: tuple[int, int]) -> None:
    interpreter = [python(*version), "-I", "-S", "-X", "importtime"]
    done = subprocess.run(
        [*interpreter, PROGRAM, "list"], env=program.environ, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, NOTHING), done.stderr
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert {"_ssl", "_socket"} <= loaded
    assert not loaded & {"ssl", "socket", "enum", "re", "os"}


def test_a_python_that_it_was_not_tried_with_uses_the_documented_modules(program: Program) -> None:
    script = AS_ANOTHER.format(root=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        env=program.environ, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, NOTHING, "")
