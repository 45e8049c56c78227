"""Press a machine's power button and wait until it is off: what its unit does to stop it.

Runs without the daemon, on the monitor that is kept for this, as the user whose QEMU it is. After
its time the unit's own SIGTERM switches the machine off.

Without units no service manager stops the machines when the host shuts down. But systemd ends a
shutdown with a SIGTERM to every process that still runs, and waits for 90 s. So one process of this
program sits beside each QEMU and handles that signal, which QEMU blocks. A snap's files are
unmounted by then, so it loads nothing after its start. Until then it truncates the log that both
write to: a guest can have QEMU write error messages without end.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import sys
import time

from multipassd.drivers.qemu.qmp_protocol import Qmp
from multipassd.drivers.qemu.shared_names import AT_SIGTERM

USAGE = f"Usage: multipass-power-down [{AT_SIGTERM}] SOCKET SECONDS\n"
PRESS_SECONDS = 10.0  # a guest that is still booting misses what came too early
CHUNK = 4096
MAX_LOG = 1 << 20  # bytes when it is checked; then its end is kept
LOG_END = 64 << 10
CHECK_SECONDS = 5.0
OFF, STILL_ON, USAGE_ERROR = 0, 1, 2  # exit codes


class _Terminated(Exception):
    """SIGTERM came."""


def main(words: list[str]) -> int:
    waits = words[:1] == [AT_SIGTERM]
    path, seconds, *more = [*words[waits:], "", ""]
    if more != ["", ""] or not seconds.isdecimal():
        sys.stderr.write(USAGE)
        return USAGE_ERROR
    if not waits:
        return OFF if power_down(path, float(seconds)) else STILL_ON
    if not _ended_before_sigterm() and not power_down(path, float(seconds)):
        switch_off(path)
    return OFF


def _ended_before_sigterm() -> bool:
    def handle(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Terminated

    try:
        signal.signal(signal.SIGTERM, handle)
        # The parent blocks it, so that none is lost before there is a handler.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        while not select.select([sys.stdin.fileno()], [], [], CHECK_SECONDS)[0]:
            _shorten(sys.stdout.fileno())
    except _Terminated:
        return False
    return True


def _shorten(log: int) -> None:
    """Cut the log to its end; QEMU writes to it in append mode."""
    status = os.fstat(log)
    if stat.S_ISREG(status.st_mode) and status.st_size > MAX_LOG:
        end = os.pread(log, LOG_END, status.st_size - LOG_END)
        os.ftruncate(log, 0)
        os.write(log, end)


def power_down(path: str, seconds: float) -> bool:
    """Is it off now? True also if there is no listener: QEMU has ended before."""
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(seconds)
        qmp = Qmp()
        try:
            monitor.connect(path)
            _execute(monitor, qmp, "qmp_capabilities")
            while (left := deadline - time.monotonic()) > 0:
                _execute(monitor, qmp, "system_powerdown")
                if _ends_within(monitor, min(left, PRESS_SECONDS)):
                    return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


def switch_off(path: str) -> None:
    """Unlike a kill, this has QEMU write out what it holds."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(PRESS_SECONDS)
        qmp = Qmp()
        try:
            monitor.connect(path)
            _execute(monitor, qmp, "qmp_capabilities")
            _execute(monitor, qmp, "quit")
            _ends_within(monitor, PRESS_SECONDS)
        except OSError:
            pass  # it is off, or the service manager kills it


def _execute(monitor: socket.socket, qmp: Qmp, command: str) -> None:
    monitor.sendall(qmp.command(command)[1])


def _ends_within(monitor: socket.socket, seconds: float) -> bool:
    """Does QEMU hang up? What it sends is thrown away unread: a guest that took it over chooses it,
    and no reply would change what is done here."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        monitor.settimeout(left)
        try:
            if not monitor.recv(CHUNK):
                return True
        except TimeoutError:
            return False
    return False
