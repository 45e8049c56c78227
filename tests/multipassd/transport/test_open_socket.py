"""After a boot, before the daemon ever ran: whom the service manager's socket lets connect."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from multipassd.trust.enrolled_marker import EnrolledMarker
from protocol.certificates import make_client
from tools.sandbox import CHECKOUT, Sandbox

PROGRAM = CHECKOUT / "bin" / "multipass-open-socket"


def mode_after(sandbox: Sandbox, tmp_path: Path) -> int:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o660)
        done = subprocess.run(
            [sys.executable, "-I", str(PROGRAM), str(path)], env=sandbox.daemon_env(), cwd="/",
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return path.stat().st_mode & 0o777


def store(sandbox: Sandbox, text: bytes) -> None:
    sandbox.store_path.parent.mkdir(mode=0o700, parents=True)
    sandbox.store_path.write_bytes(text)


def settings(sandbox: Sandbox, text: str) -> None:
    sandbox.settings_path.parent.mkdir(parents=True, exist_ok=True)
    sandbox.settings_path.write_text(text)
    sandbox.settings_path.chmod(0o600)


def test_it_is_opened_where_a_client_is_trusted(sandbox: Sandbox, tmp_path: Path) -> None:
    store(sandbox, make_client().certificate)
    assert mode_after(sandbox, tmp_path) == 0o666


@pytest.mark.parametrize("ran", [False, True])
def test_before_the_first_client_it_is_opened_where_none_becomes_first_by_a_call(
    sandbox: Sandbox, tmp_path: Path, ran: bool
) -> None:
    if ran:
        store(sandbox, b"")
    settings(sandbox, "[General]\nlocal.first-client=nobody\n")
    assert mode_after(sandbox, tmp_path) == 0o666
    assert sandbox.store_path.parent.exists() == ran, "nothing is made"


@pytest.mark.parametrize(
    "text", ["", "[General]\nlocal.first-client=admin\n", "[General]\nlocal.first-client=x\n", "\0"]
)
def test_else_and_where_the_settings_are_in_doubt_it_stays_closed(
    sandbox: Sandbox, tmp_path: Path, text: str
) -> None:
    settings(sandbox, text)
    assert mode_after(sandbox, tmp_path) == 0o660


def test_a_store_that_is_damaged_or_lost_opens_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    settings(sandbox, "[General]\nlocal.first-client=nobody\n")
    sandbox.data.mkdir(parents=True)
    EnrolledMarker(sandbox.store_path.parent).set()
    assert mode_after(sandbox, tmp_path) == 0o660
    (tmp_path / "socket").unlink()
    store(sandbox, b"rubbish\n")
    assert mode_after(sandbox, tmp_path) == 0o660
