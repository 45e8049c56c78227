"""remove: power instances down. snapd itself stops the service and keeps or purges the data."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from multipassd import backend

SECONDS = 60.0  # then they are switched off; snapd waits for ten minutes


def run(environ: Mapping[str, str]) -> None:
    """Instances would run on without their snap, and their disks are about to be saved."""
    asyncio.run(backend.power_down(environ, SECONDS))
