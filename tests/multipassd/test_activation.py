"""Started by its socket: the daemon goes when nobody needs it, and the next caller wakes it."""

from __future__ import annotations

import os
import threading
import time

from tests.conftest import DaemonFactory

PATIENCE = 30.0  # seconds; an idle exit is due after one


def _ends(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_an_idle_daemon_exits_and_the_next_caller_wakes_it(daemon: DaemonFactory) -> None:
    running = daemon(activated=True, options=("--idle-exit", "1"))
    assert running.cli("alice", "list").returncode == 0
    first = running.pid
    assert _ends(first)
    assert running.socket_path.stat().st_mode & 0o777 == 0o666
    assert running.cli("alice", "list").stdout == "No instances found.\n"
    assert running.pid != first
    assert "stopped: idle" in running.log_text()


def test_a_daemon_with_a_connection_does_not_idle_out(daemon: DaemonFactory) -> None:
    running = daemon(activated=True, options=("--idle-exit", "1"))
    assert running.cli("alice", "list").returncode == 0
    with running.connect():
        held = running.pid
        time.sleep(2.0)  # twice the idle time, held open below the handshake's limit
        os.kill(held, 0)
    assert _ends(held)


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
