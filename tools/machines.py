"""The QEMU processes of a daemon in a sandbox. They outlive it; removing the sandbox ends them."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress

from multipassd.drivers.qemu.detached_runner import Identity
from tools.sandbox import Sandbox


def running(sandbox: Sandbox) -> list[int]:
    """The process ids of detached QEMU processes, not of units."""
    found: list[int] = []
    for path in (sandbox.storage / "run").glob("*.json"):
        with suppress(OSError, ValueError, TypeError):
            known = Identity(**json.loads(path.read_text()))
            if Identity.of(known.pid) == known:
                found.append(known.pid)
    return found


def end(sandbox: Sandbox) -> None:
    for pid in running(sandbox):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
