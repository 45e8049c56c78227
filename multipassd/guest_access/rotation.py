"""The shared SSH key is replaced: a new one is made, and all guests are to let in no other."""

from __future__ import annotations

import asyncio
import time

from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.instances.attachments import login_key
from multipassd.instances.collection import Instances
from multipassd.instances.instance import Instance
from multipassd.instances.records.damaged import Damaged
from multipassd.system import log
from multipassd.system.background import Tasks
from protocol.errors import StorageFailed

RETRY_SECONDS = 60.0  # between two attempts at what failed
AT_ONCE = 8  # guests; more would only wait for the host's processors together

_log = log.get("access")


class KeyRotation:
    """One for the daemon. What is pending follows from the key and the instances' records alone, so
    it goes on after any end of the daemon."""

    def __init__(self, instances: Instances, key: ServiceKey) -> None:
        self._instances = instances
        self._key = key
        self._tasks = Tasks()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._next = 0.0  # monotonic

    async def rotate(self) -> None:
        """Durable on return; the guests that run follow in the background. Raises StorageFailed,
        and then nothing has changed."""
        name = await asyncio.to_thread(self._key.rotate)
        _log.info("the shared SSH key was replaced: instances get %s", name)
        self._apply()

    def pending(self) -> list[str]:
        """Names of the instances whose guests may still let in a former key. Raises
        StorageFailed."""
        wanted = self._key.name
        return [each.name for each in self._instances.everything() if _is_pending(each, wanted)]

    def tick(self) -> None:
        """To be called every second or so. Never fails."""
        if time.monotonic() < self._next:
            return
        self._apply()

    def _apply(self) -> None:
        self._next = time.monotonic() + RETRY_SECONDS
        for instance in self._instances.live():
            if instance.running and self._pending(instance):
                self._tasks.spawn(self._replace(instance))
        self._tasks.spawn(self._remove_unneeded())

    async def _replace(self, instance: Instance) -> None:
        async with self._turns:
            await instance.login_key.replace(instance.execute, lambda text: None)
        if not self._pending(instance):
            await self._remove_unneeded()

    def _pending(self, instance: Instance) -> bool:
        try:
            return instance.login_key.pending()
        except StorageFailed:
            return True

    async def _remove_unneeded(self) -> None:
        """Keys that no instance is reached by any more, nor one that is being made."""
        if any(each.login_key.busy for each in self._instances.all()):
            return  # it tries a former key, which is to fail for no other reason than the guest's
        needed = self._instances.registry.ssh_keys()
        if needed is not None and not self._instances.preparing:
            await asyncio.to_thread(self._key.remove_all_but, needed)


def _is_pending(instance: Instance | Damaged, wanted: str) -> bool:
    record = instance.copy if isinstance(instance, Damaged) else instance.record
    return bool(wanted) if record is None else login_key.pending(record, wanted)
