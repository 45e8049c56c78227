"""The Incus cluster that this service is a client of, whether its driver is chosen or not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from multipassd.driver_choice import INCUS
from multipassd.settings.settings import Settings
from protocol import settings as names

MEMBERSHIP = "membership.json"  # see `drivers/incus/api/membership.py`


class JoinedCluster:
    """Its membership, below the data directory."""

    def __init__(self, data: Path, settings: Settings) -> None:
        self._directory = data / INCUS
        self._settings = settings
        self._joining = asyncio.Lock()

    @property
    def exists(self) -> bool:
        """Has this service joined one? Whether it is reached is another matter."""
        return os.path.lexists(self._directory / MEMBERSHIP)

    async def join(self, token: str) -> None:
        """The setting `local.incus.token`. Raises RpcError; then the former membership holds."""
        _check_library()
        from multipassd.drivers.incus.api import enrolment

        async with self._joining:
            project = self._settings.get(names.INCUS_PROJECT)
            await enrolment.set_token(token, self._directory, project)

    def check_project(self, project: str) -> None:
        """Before `local.incus.project` is changed. Raises RpcError."""
        if self.exists:
            _check_library()
            from multipassd.drivers.incus.api import enrolment

            enrolment.check_project(self._directory, project)


def _check_library() -> None:
    """Raises IncusError where aiohttp is missing."""
    from importlib.util import find_spec

    if find_spec("aiohttp") is None:
        from multipassd.drivers.incus.api.errors import NO_AIOHTTP, IncusError

        raise IncusError(NO_AIOHTTP)
