"""What a service manager sees of the daemon, and signals, with the real program."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import DaemonFactory
from tests.multipassd.transport.tls_client import GOOD, H2Client
from tools.daemon import Daemon
from tools.notify import NotifySocket
from tools.sandbox import Sandbox, daemon_command

SECONDS = 30.0

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


class AbstractNotifySocket(NotifySocket):
    """One without a file, as some containers' managers use."""

    def __init__(self, name: str) -> None:
        self.path = Path("@" + name)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name)
        self.lines = []


@contextmanager
def running(sandbox: Sandbox, notify: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        daemon_command("--address", sandbox.address),
        env={**sandbox.daemon_env(), "NOTIFY_SOCKET": notify, **env},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def end(process: subprocess.Popen[str]) -> str:
    """SIGTERM; it must exit with 0. Its log."""
    process.terminate()
    return ended(process)


def ended(process: subprocess.Popen[str]) -> str:
    """Without a signal: a second one could meet a Python that is past handling it."""
    _, log = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, log
    assert "Traceback" not in log, log
    return log


@pytest.mark.parametrize("kind", ["file", "abstract"])
def test_the_manager_hears_of_start_reload_watchdog_and_stop(sandbox: Sandbox, kind: str) -> None:
    notify = (
        AbstractNotifySocket(f"multipass-test-{os.getpid()}")
        if kind == "abstract"
        else NotifySocket(sandbox.root / "notify.sock")
    )
    with notify, running(sandbox, str(notify.path), WATCHDOG_USEC="100000") as process:
        notify.wait_for("READY=1", SECONDS)
        notify.wait_for("WATCHDOG=1", SECONDS)
        assert any(line.startswith("STATUS=waiting for the first client") for line in notify.lines)
        process.send_signal(signal.SIGHUP)
        notify.wait_for("RELOADING=1", SECONDS)
        assert any(line.startswith("MONOTONIC_USEC=") for line in notify.lines)
        notify.wait_for("READY=1", SECONDS)
        process.terminate()
        notify.wait_for("STOPPING=1", SECONDS)
        ended(process)


@pytest.mark.parametrize("notify", ["missing", "refused", "@nobody-listens-here", "relative", ""])
def test_a_manager_that_is_not_there_is_no_error(sandbox: Sandbox, notify: str) -> None:
    path = sandbox.root / "notify.sock"
    if notify == "refused":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
            gone.bind(str(path))
    with running(sandbox, str(path) if notify in ("missing", "refused") else notify) as process:
        deadline = time.monotonic() + SECONDS
        while not _listening(sandbox) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
        with H2Client(Daemon(sandbox), GOOD) as client:
            assert client.call()[0] == "0"
        end(process)


def _listening(sandbox: Sandbox) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return not probe.connect_ex(str(sandbox.socket_path))


def test_sighup_reads_what_changed_by_hand(daemon: DaemonFactory) -> None:
    one = daemon()
    with H2Client(one, GOOD) as client:
        assert client.call()[0] == "0"
        one.sandbox.settings_path.parent.mkdir(parents=True, exist_ok=True)
        one.sandbox.settings_path.write_text("[General]\nlocal.driver=lxd\n")
        one.sandbox.settings_path.chmod(0o600)
        os.kill(one.pid, signal.SIGHUP)
        deadline = time.monotonic() + SECONDS
        while "reloaded" not in one.log_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.call()[0] == "0", "the connection outlives it"
