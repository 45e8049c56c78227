"""Asking snapd, from within one of its hooks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable

from multipassd.snap.hook import HookFailed

SERVICE = "multipass.multipassd"
SECONDS = 60.0  # snapd may be busy


def options(keys: Iterable[str]) -> dict[str, object]:
    """What is set of `keys`, as snapd keeps it: JSON."""
    found = json.loads(_snapctl("get", "-d", *keys) or "{}")
    return dict(found)


def restart_service() -> None:
    """In a hook snapd does so once the hook has ended well. A service that waits for its first
    caller goes on waiting."""
    _snapctl("restart", SERVICE)


def service_is_active() -> bool:
    lines = _snapctl("services", SERVICE).splitlines()[1:]  # Service, Startup, Current, Notes
    return any(line.split()[2:3] == ["active"] for line in lines)


def _snapctl(*arguments: str) -> str:
    command = ["snapctl", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HookFailed(f"`{' '.join(command)}` failed: {error}") from None
    if done.returncode:
        raise HookFailed(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
