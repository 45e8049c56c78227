"""A blocking client of QEMU's monitor that ends a machine: by its power button, or at once.

Imports next to nothing, as a helper process that sits beside each QEMU uses it.
"""

from __future__ import annotations

import socket
import time

from multipassd.drivers.qemu.qmp_protocol import Qmp

PRESS_SECONDS = 10.0  # a guest that is still booting misses what came too early
CHUNK = 4096


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
