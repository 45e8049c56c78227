"""The shared key that a guest lets in: replaced in the guest after the service's key was.

In this order, so that the service is locked out at no time, also if it is killed: the new key is
added beside the former one, a log-in by it succeeds, the record names it, the seed has it, the
former ones are removed, and a log-in by the last one fails. What fails stays pending; the next
start of the guest, and a look each minute, go on.
"""

from __future__ import annotations

import asyncio

from multipassd.cloudinit import seed
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.drivers import machine_files
from multipassd.instances.attachments import login_key_commands as commands
from multipassd.instances.attachments.attachment import Attachment, Execute, Warn
from multipassd.instances.records.record import NO_KEY, Record
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.errors import GuestSilent, NotRunning
from multipassd.system import log
from protocol.errors import RpcError, StorageFailed

SECONDS = 30.0  # for one command; logging in to an emulated guest takes long
NOTHING = "true"

_log = log.get("instances")


class NotReplaced(Exception):
    """The guest still lets a former key in; the text is a clause that says why."""


def pending(record: Record, wanted: str) -> bool:
    """Has its guest still to be given the key of this name, or to lose former ones? Pure. Before
    the first rotation (an empty name) the keys of 1.16's instances are as good."""
    if not wanted:
        return record.ssh_key == NO_KEY
    return record.ssh_key != wanted or record.ssh_key_alone != wanted


class LoginKey(Attachment):
    """The key of one guest. `wanted` is the name that its record is to have."""

    def __init__(self, stored: StoredRecord, key: ServiceKey | None) -> None:
        """`key`: without it nothing is ever replaced."""
        self._stored = stored
        self._key = key
        self._lock = asyncio.Lock()  # two answers of the guest, or one and the look each minute

    @property
    def busy(self) -> bool:
        """Is it being replaced now?"""
        return self._lock.locked()

    def wanted(self) -> str:
        """Raises StorageFailed."""
        return self._key.name if self._key is not None else ""

    def pending(self) -> bool:
        """Raises StorageFailed."""
        return pending(self._stored.record, self.wanted())

    async def after_answer(self, execute: Execute, warn: Warn) -> None:
        await self.replace(execute, warn)

    async def replace(self, execute: Execute, warn: Warn) -> None:
        """If that is pending. A failure is a warning. Never fails."""
        async with self._lock:
            try:
                if self._key is None or not self.pending():
                    return
                await self._replace(self._key, self.wanted(), execute)
            except (GuestSilent, NotRunning):
                return  # the next answer
            except (NotReplaced, RpcError, OSError) as error:
                why = _sentence(self._stored.name, _clause(error))
                _log.warning("%s", why)
                warn(why)
            else:
                _log.info("%s lets in the present shared SSH key alone", self._stored.name)

    async def _replace(self, key: ServiceKey, wanted: str, execute: Execute) -> None:
        """Raises NotReplaced, GuestSilent, RpcError, OSError."""
        before = self._stored.record.ssh_key
        if before not in (wanted, NO_KEY):
            await asyncio.to_thread(self._retire, key, before)
        public = await asyncio.to_thread(key.public_of, wanted)
        former = [each for each in await asyncio.to_thread(key.retired) if each != public]
        if before != wanted:
            await self._run(execute, commands.add(public, former))
            try:
                await execute(NOTHING, SECONDS, wanted)
            except GuestSilent:
                raise NotReplaced("the guest does not let the new key in") from None
            self._stored.put(self._stored.record.reached_by(wanted))
        path = self._stored.directory / machine_files.SEED
        await asyncio.to_thread(seed.replace_keys, path, former, public)
        await self._run(execute, commands.drop(former))
        await self._check_refused(execute, before)
        self._stored.change(ssh_key_alone=wanted)

    def _retire(self, key: ServiceKey, name: str) -> None:
        """Raises StorageFailed; NotReplaced for a key that can't be named in the guest."""
        public = key.public_of(name)
        if not public:
            raise NotReplaced("what its former key is can't be told")
        key.retire(public)

    async def _run(self, execute: Execute, command: str) -> None:
        """Raises NotReplaced, GuestSilent, RpcError."""
        if why := commands.outcome(await execute(command, SECONDS)):
            raise NotReplaced(f"~/.ssh/authorized_keys in the guest: {why}")

    async def _check_refused(self, execute: Execute, former: str) -> None:
        """Not where that is the present key: an earlier run was broken off behind this check."""
        if former in (self._stored.record.ssh_key, NO_KEY):
            return
        try:
            await execute(NOTHING, SECONDS, former)
        except GuestSilent:
            return
        except StorageFailed:
            return  # its private half is gone
        raise NotReplaced("the guest lets the former key in by another file")


def _clause(error: Exception) -> str:
    if isinstance(error, RpcError):
        return error.message
    if isinstance(error, OSError):
        return f"its seed can't be written: {error.strerror or error}"
    return str(error)


def _sentence(name: str, why: str) -> str:
    return (
        f"{name}: the shared SSH key is not replaced yet: {why.rstrip('.')}. Until it is, a client "
        "that is no longer trusted may still know a key that logs in. It is tried again each "
        "minute, and at the next start."
    )
