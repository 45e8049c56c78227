"""What an instance was doing, as its record says."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """What an instance was doing when it was last written down; what it does now only the driver
    knows."""

    STOPPED = "stopped"
    RUNNING = "running"  # to be started again after the host's next boot
    SUSPENDED = "suspended"
