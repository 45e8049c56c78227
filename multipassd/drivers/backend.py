"""How a driver is made: what each of them offers to the assembly of the daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from multipassd.drivers.interface import Driver


@dataclass(frozen=True)
class Surroundings:
    """What a driver is made from."""

    environ: Mapping[str, str]
    storage: Path  # the directory for what is large
    data: Path  # the directory for what is small, and secret
    setting: Callable[[str], str]  # the present value of a setting


@dataclass(frozen=True)
class Backend:
    """How a driver is made."""

    make: Callable[[Surroundings], Driver]
    # Ends all machines that no service manager ends, by their power buttons if the seconds are
    # enough. For when the daemon does not run. Never fails.
    power_down: Callable[[Mapping[str, str], Path, float], Awaitable[None]]
    # What this host lacks for it, a sentence; empty where nothing is missing.
    missing: Callable[[], str] = lambda: ""
