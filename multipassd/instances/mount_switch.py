"""What is mounted follows `local.privileged-mounts`, set by a client or edited by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from multipassd.system import log
from protocol.errors import RpcError

if TYPE_CHECKING:
    from multipassd.instances.collection import Instances
    from multipassd.instances.instance import Instance

_log = log.get("mounts")


class MountSwitch:
    """One for the daemon."""

    def __init__(self, instances: Instances, enabled: Callable[[], bool]) -> None:
        """`enabled`: what the setting says now."""
        self._instances = instances
        self._enabled = enabled
        self._applied = enabled()  # an instance that starts asks for itself
        self._lock = asyncio.Lock()

    @property
    def due(self) -> bool:
        return self._applied != self._enabled()

    async def apply(self) -> None:
        """Returns once the instances that run have their mounts, or none. Never fails."""
        async with self._lock:
            if self.due:
                self._applied = self._enabled()
                await asyncio.gather(*(self._apply_to(each) for each in self._instances.live()))

    async def _apply_to(self, instance: Instance) -> None:
        if not instance.record.mounts:
            return
        from multipassd.instances.states import transitions

        try:
            async with instance.held(transitions.MOUNT):
                if instance.running:
                    await instance.mounts.switch(instance.execute)
        except RpcError as error:
            _log.warning("the mounts of %s stay as they are: %s", instance.name, error.message)
