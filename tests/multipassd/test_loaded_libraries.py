"""What a daemon that serves has loaded, as its memory map tells: each library costs its start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import DaemonFactory
from tools import records
from tools.sandbox import MULTIPASSD, Sandbox

# By part of the file's name, with what it is for: neither a start nor a `list` needs it.
UNUSED = {
    "pydantic_core": "files of others, in the image worker and multipass-migrate",
    "_ssl.": "asyncio's own TLS",
    "_bz2.": "archives",
    "_lzma.": "archives",
    "_decimal.": "nothing",
    "_uuid.": "names of certificates and of NetworkManager's connections",
}


@pytest.mark.parametrize("instances", [0, 2])
def test_a_daemon_that_has_answered_has_loaded_no_library_that_it_does_not_use(
    daemon: DaemonFactory, sandbox: Sandbox, instances: int
) -> None:
    for number in range(instances):
        records.registry(sandbox).put(records.make(f"foo{number}", number))
    running = daemon(sandbox=sandbox)
    listed = running.cli("alice", "list")
    assert listed.returncode == 0 and listed.stdout.count("foo") == instances
    loaded = {Path(line.split(" ")[-1]).name for line in _map(running.pid) if ".so" in line}
    assert any(name.startswith("libssl.so") for name in loaded)
    assert not {name for name in loaded if any(part in name for part in UNUSED)}


def _map(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/maps").read_text().splitlines()


@pytest.mark.parametrize("flags", ["-IS", "-I"])
def test_the_launcher_needs_no_site_packages_of_the_interpreter(flags: str) -> None:
    """It finds its libraries itself, so that none can be put before them."""
    done = subprocess.run(
        [sys.executable, flags, MULTIPASSD, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "multipassd" in done.stdout, done.stderr


def test_what_imports_ssl_after_the_daemon_s_start_gets_it() -> None:
    code = f"""
import runpy, sys
sys.argv = ["multipassd", "--help"]
try:
    runpy.run_path({str(MULTIPASSD)!r}, run_name="__main__")
except SystemExit:
    pass
import asyncio, ssl
assert asyncio.sslproto.ssl is None and ssl.OPENSSL_VERSION
"""
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
