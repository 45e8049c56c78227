"""What launches, clones and purges have left over that were broken off: removed, and nothing else.

On a cluster that is not reached it can't be removed now. The directory of a machine stays until the
machine itself is gone, as it is what tells that there is something to remove.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from multipassd.instances.records.registry import Registry
from multipassd.instances.site import Site
from multipassd.system import log
from multipassd.system.background import Tasks
from protocol.errors import RpcError

if TYPE_CHECKING:
    from multipassd.drivers.interface import Driver

AGAIN_SECONDS = 60.0  # between attempts

_log = log.get("instances")


class Leftovers:
    """Of one registry and the driver of its machines."""

    def __init__(self, registry: Registry, site: Site) -> None:
        self._registry = registry
        self._site = site
        self._tasks = Tasks()

    def close(self) -> None:
        """What is to be removed is so at the next start. The site has another driver then, maybe,
        whose machines of the same names are none of these."""
        self._tasks.cancel()

    @property
    def _driver(self) -> Driver:
        return self._site.driver

    async def remove_all(self) -> None:
        """At the service's start; in the background where a cluster in trouble would delay it."""
        for name in self._registry.leftovers():
            _log.info("removing what a launch or a purge has left over of %s", name)
            if self._driver.outlives_host:
                self._tasks.spawn(self._remove_in_time(name))
            else:
                await self._remove(name)

    async def _remove_in_time(self, name: str) -> None:
        while not await self._remove(name):  # noqa: ASYNC110 - no event says that it can be
            await asyncio.sleep(AGAIN_SECONDS)

    async def _remove(self, name: str) -> bool:
        """Is it gone?"""
        await self._driver.clear(name)
        if gone := await self._is_removed(name):
            await asyncio.to_thread(self._registry.remove_files, name)
        return gone

    async def unmake(self, name: str, token: str) -> None:
        """Remove what a launch or a clone made that failed; `token`: of its directory. Never
        fails: what can't be removed now is removed at the next start."""
        if await self._is_removed(name):
            await asyncio.to_thread(self._registry.unmake_place, name, token)

    async def _is_removed(self, name: str) -> bool:
        try:
            await self._driver.remove(name)
        except RpcError as error:
            _log.warning("what is left over of %s stays for now: %s", name, error.message)
            return False
        return True

    def remove_unused(self, name: str) -> None:
        """A machine that was never started and is not on record: in the background."""
        self._tasks.spawn(self._remove_unused(name))

    async def _remove_unused(self, name: str) -> None:
        try:
            await self._driver.remove_unused(name)
        except RpcError as error:  # it is seen again at the next connection to the cluster
            _log.warning("what is left over of %s stays for now: %s", name, error.message)
