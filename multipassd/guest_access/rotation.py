"""The shared SSH key is replaced: a new one is made, and all guests are to let in no other."""

from __future__ import annotations

import asyncio
import time

from multipassd.cloudinit.logins import Logins
from multipassd.cloudinit.ssh_keys import NO_KEY
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

    def __init__(self, instances: Instances, logins: Logins) -> None:
        self._instances = instances
        self._logins = logins
        self._key = logins.key
        self._tasks = Tasks()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._next = 0.0  # monotonic

    async def rotate(self) -> None:
        """Durable on return; the guests that run follow in the background. Raises StorageFailed,
        and then nothing has changed."""
        name = await asyncio.to_thread(self._key.rotate)
        _log.info("the shared SSH key was replaced: instances get %s", name)
        self.apply()

    def reached(self) -> list[str]:
        """Names of the instances whose guests may let in a shared key at all."""
        every = self._instances.everything()
        records = (
            (each, each.copy if isinstance(each, Damaged) else each.record) for each in every
        )
        return [each.name for each, record in records if not record or record.ssh_key != NO_KEY]

    def pending(self) -> list[str]:
        """Names of the instances whose guests may still let in a former key: all of them while the
        keys can't be read."""
        every = self._instances.everything()
        try:
            return [each.name for each in every if self._waits(each)]
        except StorageFailed as error:
            _log.warning("%s", error.message)
            return [each.name for each in every]

    def tick(self) -> None:
        """To be called every second or so. Never fails."""
        if time.monotonic() < self._next:
            return
        self.apply()

    def apply(self) -> None:
        """Have the guests that run follow now. Never fails."""
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

    def _waits(self, instance: Instance | Damaged) -> bool:
        """Raises StorageFailed."""
        record = instance.copy if isinstance(instance, Damaged) else instance.record
        if record is None:
            return bool(self._key.name)
        return login_key.is_pending(record, self._logins)
