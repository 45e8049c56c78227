"""Press a machine's power button and wait until it is off: what its unit does to stop it.

Runs without the daemon, on the monitor that is kept for this, as the user whose QEMU it is. After
its time the unit's own SIGTERM switches the machine off.

Where there are no units, nobody is told that the host shuts down. But systemd ends a shutdown with
a SIGTERM to all that still runs, and waits for 90 s: one process of this program sits beside each
QEMU, which is deaf to that signal, and takes it. A snap's files are unmounted by then, so it loads
nothing from there on. Meanwhile it keeps the log short that both write to: a guest can have QEMU
complain for as long as it likes.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import stat
import sys
import time

from multipassd.drivers.qemu.shared_names import AT_SIGTERM

USAGE = f"Usage: multipass-power-down [{AT_SIGTERM}] SOCKET SECONDS\n"
PRESS_SECONDS = 10.0  # a guest that is still booting misses what came too early
CHUNK = 4096
MAX_LOG = 1 << 20  # bytes at a look at it; then its end is kept
LOG_END = 64 << 10
LOOK_SECONDS = 5.0
OFF, STILL_ON, NO_USE = 0, 1, 2  # exit codes


class _Told(Exception):
    """SIGTERM came."""


def main(words: list[str]) -> int:
    waits = words[:1] == [AT_SIGTERM]
    path, seconds, *more = [*words[waits:], "", ""]
    if more != ["", ""] or not seconds.isdecimal():
        sys.stderr.write(USAGE)
        return NO_USE
    if not waits:
        return OFF if power_down(path, float(seconds)) else STILL_ON
    if not _ended_before_sigterm() and not power_down(path, float(seconds)):
        switch_off(path)
    return OFF


def _ended_before_sigterm() -> bool:
    def tell(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Told

    try:
        signal.signal(signal.SIGTERM, tell)
        # Whoever starts this blocks it, so that none is lost before there is somebody to take it.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        while not select.select([sys.stdin.fileno()], [], [], LOOK_SECONDS)[0]:
            _shorten(sys.stdout.fileno())
    except _Told:
        return False
    return True


def _shorten(log: int) -> None:
    """Who else writes to it appends."""
    status = os.fstat(log)
    if stat.S_ISREG(status.st_mode) and status.st_size > MAX_LOG:
        end = os.pread(log, LOG_END, status.st_size - LOG_END)
        os.ftruncate(log, 0)
        os.write(log, end)


def power_down(path: str, seconds: float) -> bool:
    """Is it off now? True also where nobody listens: QEMU has ended before."""
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(seconds)
        try:
            monitor.connect(path)
            _execute(monitor, "qmp_capabilities")
            while (left := deadline - time.monotonic()) > 0:
                _execute(monitor, "system_powerdown")
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
        try:
            monitor.connect(path)
            _execute(monitor, "qmp_capabilities")
            _execute(monitor, "quit")
            _ends_within(monitor, PRESS_SECONDS)
        except OSError:
            pass  # it is off, or the service manager kills it


def _execute(monitor: socket.socket, command: str) -> None:
    monitor.sendall(json.dumps({"execute": command}).encode() + b"\n")


def _ends_within(monitor: socket.socket, seconds: float) -> bool:
    """What QEMU says is of no interest here; that it hangs up is."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        monitor.settimeout(left)
        try:
            if not monitor.recv(CHUNK):
                return True
        except TimeoutError:
            return False
    return False
