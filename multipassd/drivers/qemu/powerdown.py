"""Press a machine's power button and wait until it is off: what its unit does to stop it.

Runs without the daemon, on the monitor that is kept for this, as the user whose QEMU it is. After
its time the unit's own SIGTERM switches the machine off.
"""

from __future__ import annotations

import json
import socket
import sys
import time

USAGE = "Usage: multipass-power-down SOCKET SECONDS\n"
PRESS_SECONDS = 10.0  # a guest that is still booting misses what came too early
CHUNK = 4096
OFF, STILL_ON, NO_USE = 0, 1, 2  # exit codes


def main(words: list[str]) -> int:
    if len(words) != 2 or not words[1].isdecimal():
        sys.stderr.write(USAGE)
        return NO_USE
    return OFF if power_down(words[0], float(words[1])) else STILL_ON


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
