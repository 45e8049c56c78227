"""Started by its socket: the daemon exits when idle, and the next caller starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from multipassd.system import activation
from tests.conftest import DaemonFactory
from tests.multipassd.transport.tls_client import H2Client
from tests.waiting import until
from tools.activate import spawn
from tools.sandbox import CHECKOUT, Sandbox, daemon_command


def _await_end(pid: int) -> None:
    def ended() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(ended, "the idle exit")


def test_an_idle_daemon_exits_and_the_next_caller_wakes_it(daemon: DaemonFactory) -> None:
    running = daemon(activated=True, options=("--idle-exit", "1"))
    assert running.cli("alice", "list").returncode == 0
    first = running.pid
    _await_end(first)
    assert running.socket_path.stat().st_mode & 0o777 == 0o666
    assert running.cli("alice", "list").stdout == "No instances found.\n"
    assert running.pid != first
    assert "stopped: idle" in running.log_text()


def test_a_daemon_that_was_told_to_stop_gives_no_reason_of_its_own(daemon: DaemonFactory) -> None:
    running = daemon()
    running.stop()
    assert running.log_text().endswith("stopped\n")


def test_a_daemon_with_a_connection_does_not_idle_out(daemon: DaemonFactory) -> None:
    running = daemon(activated=True, options=("--idle-exit", "1"))
    with H2Client(running) as client:
        client.call()
        held = running.pid
        time.sleep(2.0)  # twice the idle time
        os.kill(held, 0)
    _await_end(held)


def test_a_daemon_that_bound_its_socket_itself_never_idles_out(daemon: DaemonFactory) -> None:
    running = daemon(options=("--idle-exit", "1"))
    time.sleep(2.5)
    os.kill(running.pid, 0)


def test_callers_hammering_over_idle_exits_see_no_failure(daemon: DaemonFactory) -> None:
    running = daemon(activated=True, options=("--idle-exit", "1"))
    assert running.cli("alice", "list").returncode == 0
    results: list[int] = []

    def hammer(pauses: tuple[float, ...]) -> None:
        for pause in pauses:
            time.sleep(pause)  # around the moment of the exit
            results.append(running.cli("alice", "list").returncode)

    pauses = ((1.0, 1.4, 1.5), (1.2, 1.3, 1.6), (1.1, 1.45, 1.55))
    threads = [threading.Thread(target=hammer, args=(each,)) for each in pauses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0] * 9


# The protocol itself.

HANDED_OVER = """
import os, sys
sys.path.insert(0, {tree!r})
from multipassd.system import activation
from multipassd.transport import listener
found = listener.inherited()
left = [name for name in activation.VARIABLES if name in os.environ]
print([one.path for one in found], [os.get_inheritable(one.socket.fileno()) for one in found], left)
"""


def _set(monkeypatch: pytest.MonkeyPatch, fds: str, pid: int, names: str = "") -> None:
    monkeypatch.setenv("LISTEN_FDS", fds)
    monkeypatch.setenv("LISTEN_PID", str(pid))
    if names:
        monkeypatch.setenv("LISTEN_FDNAMES", names)


def test_a_socket_is_taken_over_and_not_passed_on(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    script = HANDED_OVER.format(tree=str(CHECKOUT))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(sandbox.socket_path))
        listening.listen()
        pid = spawn([sys.executable, "-c", script], listening, os.environ)
        assert os.waitpid(pid, 0)[1] == 0
    assert capfd.readouterr().out == f"['{sandbox.socket_path}'] [False] []\n"


def test_sockets_meant_for_another_process_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, "1", os.getppid())
    assert activation.descriptors() == {}


@pytest.mark.parametrize(("fds", "names"), [("many", ""), ("1", "a:b")])
def test_nonsense_is_an_error(fds: str, names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, fds, os.getpid(), names)
    with pytest.raises((OSError, ValueError)):
        activation.descriptors()


def test_nonsense_is_told_in_a_sentence(sandbox: Sandbox) -> None:
    program = [sys.executable, *daemon_command()[1:]]
    script = (
        "import os\n"
        "os.environ.update(LISTEN_FDS='many', LISTEN_PID=str(os.getpid()))\n"
        f"os.execv({program[0]!r}, {program!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=sandbox.daemon_env(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "multipassd: the service manager's LISTEN_FDS can't be understood" in done.stderr


def test_without_a_manager_nothing_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    assert activation.descriptors() == {}
