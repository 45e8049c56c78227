"""systemd units, by systemctl: its error texts are the ones that administrators know."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess

from multipassd.admin.access.verb import TrustError

BOOTED = "/run/systemd/system"  # is there exactly where systemd is PID 1: see sd_booted(3)
SEARCH_PATH = "/usr/bin:/bin"  # the user who ran sudo may have set PATH
TIMEOUT = 120.0  # seconds; stopping and starting the service may take 30 s and 90 s
SOON = 5.0  # what every verb asks; they must work where systemd hangs, too
SHOWN = 300  # characters of what systemctl says


def manager_runs() -> bool:
    return os.path.isdir(BOOTED) and _tool() is not None


def show(unit: str, *names: str, timeout: float = TIMEOUT) -> list[str]:
    """These properties of a unit, in this order; empty where it has none. Raises TrustError."""
    done = _run("show", "-p", ",".join(names), unit, timeout=timeout)
    lines = done.stdout.splitlines()
    found = dict(line.split("=", 1) for line in reversed(lines) if "=" in line)
    return [found.get(name, "") for name in names]


def environment(unit: str) -> dict[str, str]:
    """What Environment= sets for it, with its drop-ins; empty where systemd does not say."""
    try:
        words = shlex.split(show(unit, "Environment", timeout=SOON)[0])
    except (ValueError, TrustError):
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def active(unit: str) -> bool:
    return show(unit, "ActiveState") == ["active"]


def change(*arguments: str) -> str:
    """Have systemd do something; what it printed on failure, empty if it was done."""
    done = _run(*arguments)
    if done.returncode == 0:
        return ""
    output = " ".join(done.stderr.split())
    return output[:SHOWN] or f"systemctl ended with {done.returncode}"


def _tool() -> str | None:
    return shutil.which("systemctl", path=SEARCH_PATH)


def _run(*arguments: str, timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
    command = [_tool() or "systemctl", "--no-ask-password", "--no-pager", *arguments]
    environ = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "SYSTEMD_COLORS": "0"}
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environ,
            encoding="utf-8", errors="replace", timeout=timeout, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TrustError(
            f"systemd did not finish `systemctl {' '.join(arguments)}` within {timeout:g} seconds. "
            "See what it waits for with `systemctl list-jobs`."
        ) from None
