"""The shared key that a guest lets in: replaced in the guest after the service's key was.

In this order, so that the service is locked out at no time, also if it is killed: the new key is
added beside the former one, a log-in by it succeeds, the record names it, the seed has it, the
former ones are removed, and a log-in by the last one fails. What fails stays pending; the next
start of the guest, and a look each minute, go on.
"""

from __future__ import annotations

import asyncio
import struct

from multipassd.cloudinit import seed
from multipassd.cloudinit.logins import Logins
from multipassd.cloudinit.ssh_keys import NO_KEY, UNCHECKED, ServiceKey
from multipassd.drivers import machine_files
from multipassd.instances.attachments import login_key_commands as commands
from multipassd.instances.attachments.attachment import Attachment, Execute, Warn
from multipassd.instances.records.record import Record
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.errors import GuestSilent, NotRunning
from multipassd.system import log
from protocol.errors import RpcError

SECONDS = 30.0  # for one command; logging in to an emulated guest takes long
NOTHING = "true"
NO_SEED = (OSError, ValueError, LookupError, TypeError, struct.error)  # of a seed that is none

_log = log.get("instances")


class NotReplaced(Exception):
    """The guest still lets a former key in; the text is a clause that says why."""


def is_pending(record: Record, logins: Logins) -> bool:
    """Has its guest still to be given the present key, or to lose former ones? Before the first
    rotation the keys of 1.16's instances are as good. Raises StorageFailed."""
    wanted = logins.wanted(record)
    if not wanted:
        return record.ssh_key == NO_KEY
    return record.ssh_key != wanted or record.ssh_key_alone != wanted


class LoginKey(Attachment):
    """The key of one guest."""

    def __init__(self, stored: StoredRecord, logins: Logins | None) -> None:
        """`logins`: without it nothing is ever replaced."""
        self._stored = stored
        self._logins = logins
        self._told = ""  # in the log, of the last failure
        self._lock = asyncio.Lock()  # two answers of the guest, or one and the look each minute

    @property
    def busy(self) -> bool:
        """Is it being replaced now?"""
        return self._lock.locked()

    def pending(self) -> bool:
        """Raises StorageFailed."""
        if self._logins is None:
            return False
        record = self._stored.record
        unchecked = record.ssh_key_alone == UNCHECKED and not record.service
        return unchecked or is_pending(record, self._logins)

    async def after_answer(self, execute: Execute, warn: Warn) -> None:
        await self.replace(execute, warn)

    async def replace(self, execute: Execute, warn: Warn) -> None:
        """If that is pending. A failure is a warning. Never fails."""
        async with self._lock:
            try:
                if self._logins is None or not self.pending():
                    return
                wanted = self._logins.wanted(self._stored.record)
                await self._replace(self._logins, wanted, execute)
            except (GuestSilent, NotRunning):
                return  # the next answer
            except (NotReplaced, RpcError, *NO_SEED) as error:
                why = _sentence(self._stored.name, _clause(error))
                if why != self._told:
                    _log.warning("%s", why)
                self._told = why
                warn(why)
            else:
                self._told = ""
                what = "no shared SSH key" if wanted == NO_KEY else "the present one alone"
                _log.info("the shared SSH key: %s lets in %s", self._stored.name, what)

    async def _replace(self, logins: Logins, wanted: str, execute: Execute) -> None:
        """Raises NotReplaced, GuestSilent, RpcError, and NO_SEED."""
        key, before = logins.key, self._stored.record.ssh_key
        if before not in (wanted, NO_KEY, key.name):
            await asyncio.to_thread(self._retire, key, before)
        public, former = await asyncio.to_thread(_publics, key, wanted)
        if before != wanted:
            await self._let_in(wanted, public, former, execute)
        path = self._stored.directory / machine_files.SEED
        await asyncio.to_thread(seed.replace_keys, path, former, public)
        line = await asyncio.to_thread(logins.authority_line, self._stored.record)
        await self._run(execute, commands.drop(former, line))
        # Each of them: an earlier run may have been broken off before it tried.
        names = {before, *key.names()} if former else set()
        for name in names - {wanted, NO_KEY}:
            await self._check_refused(execute, name)
        self._stored.change(ssh_key_alone=wanted)

    async def _let_in(self, wanted: str, public: str, former: list[str], execute: Execute) -> None:
        """Put on record what the guest is reached by, once a log-in by it has succeeded."""
        if public:
            await self._run(execute, commands.add(public, former))
        try:
            await execute(NOTHING, SECONDS, wanted)
        except GuestSilent:
            what = "the new key" if public else "a certificate"
            raise NotReplaced(f"the guest does not let {what} in") from None
        self._stored.put(self._stored.record.reached_by(wanted))

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
        try:
            await execute(NOTHING, SECONDS, former)
        except GuestSilent:
            return
        raise NotReplaced("the guest lets the former key in by another file")


def _publics(key: ServiceKey, wanted: str) -> tuple[str, list[str]]:
    """The key that the guest is to let in, empty for none, and those that it is not to. Raises
    StorageFailed."""
    public = "" if wanted == NO_KEY else key.public_of(wanted)
    others = [*key.retired(), *([] if public else [key.public])]
    return public, [each for each in others if each != public]


def _clause(error: Exception) -> str:
    if isinstance(error, RpcError):
        return error.message
    if isinstance(error, NotReplaced):
        return str(error)
    why = error.strerror if isinstance(error, OSError) else None
    return f"its seed can't be changed: {why or error}"


def _sentence(name: str, why: str) -> str:
    return (
        f"{name}: the shared SSH key is not replaced yet: {why.rstrip('.')}. Until it is, a client "
        "that is no longer trusted may still know a key that logs in. It is tried again each "
        "minute, and at the next start."
    )
