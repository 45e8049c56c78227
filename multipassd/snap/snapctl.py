"""Requests to snapd, from within one of its hooks, by snapctl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable

SERVICE = "multipass.multipassd"
SECONDS = 60.0  # snapd may be busy


class HookFailed(Exception):
    """snapd shows the sentence and undoes the change."""


def options(keys: Iterable[str]) -> dict[str, object]:
    """The values that are set of `keys`, as decoded JSON. Raises HookFailed, as all do here."""
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
