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
import stat
import sys

from multipassd.drivers.qemu.power_button import power_down, switch_off
from multipassd.drivers.qemu.shared_names import AT_SIGTERM

USAGE = f"Usage: multipass-power-down [{AT_SIGTERM}] SOCKET SECONDS\n"
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
