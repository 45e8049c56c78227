"""Notices to the service manager (sd_notify(3)), by sdnotify: READY, STATUS, reload, watchdog.

A refused or missing NOTIFY_SOCKET is no error: the daemon works the same without systemd.
"""

from __future__ import annotations

import asyncio
import os
import time

from sdnotify import SystemdNotifier

NOTIFY_TIMEOUT = 1.0  # seconds


class Manager:
    """The service manager, if one started this process."""

    def __init__(self) -> None:
        self._notifier = _notifier()
        self._watchdog = _watchdog_interval()
        self._timer: asyncio.TimerHandle | None = None
        self._status = ""  # as last told

    def ready(self, status: str) -> None:
        self._status = status
        self._notify(f"READY=1\nSTATUS={_ascii(status)}")
        if self._watchdog and self._timer is None:
            self._feed()

    def status(self, status: str) -> None:
        """Tells it if it is news."""
        if status != self._status:
            self._status = status
            self._notify(f"STATUS={_ascii(status)}")

    def reloading(self) -> None:
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={usec}")

    def stopping(self, status: str) -> None:
        """The last STATUS stays in `systemctl status` after the exit."""
        self._notify(f"STOPPING=1\nSTATUS={_ascii(status)}")
        if self._timer is not None:
            self._timer.cancel()

    def _notify(self, state: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(state)

    def _feed(self) -> None:
        self._notify("WATCHDOG=1")
        self._timer = asyncio.get_running_loop().call_later(self._watchdog, self._feed)


def _notifier() -> SystemdNotifier | None:
    if "NOTIFY_SOCKET" not in os.environ:
        return None
    notifier = SystemdNotifier()
    del os.environ["NOTIFY_SOCKET"]  # children don't speak for the daemon
    if notifier.socket is None:  # the manager went away
        return None
    notifier.socket.settimeout(NOTIFY_TIMEOUT)  # one that does not read must not hang the daemon
    return notifier


def _ascii(status: str) -> str:
    """One line, as each line is a notice; ASCII, as sdnotify writes Latin-1 and systemd reads
    UTF-8. A status may quote a path."""
    return status.replace("\n", " ").encode("ascii", "replace").decode()


def _watchdog_interval() -> float:
    """Half of what systemd allows, in seconds; 0 if it doesn't watch this process."""
    try:
        usec = int(os.environ.pop("WATCHDOG_USEC", "0"))
        pid = int(os.environ.pop("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        return 0
    return usec / 2e6 if pid == os.getpid() else 0
