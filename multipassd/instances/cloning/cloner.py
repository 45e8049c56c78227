"""Cloning: a new instance with a copy of a stopped one's disk, and what tells the two apart.

The disk's blocks are shared with the source's where the file system can, and its image always is.
As with a launch, a clone exists from its record on; a kill before that leaves a directory that is
marked as a launch's, and removed at the next start.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from multipassd.cloudinit import ssh_keys
from multipassd.cloudinit.clone_seed import CloneSeed
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import UNCHECKED, SshKey
from multipassd.drivers.interface import Machine, NotOnBackend
from multipassd.drivers.shared_machines import SERVICE
from multipassd.instances.collection import Instances
from multipassd.instances.instance import Instance
from multipassd.instances.owners import quotas
from multipassd.instances.owners.owner import Owner
from multipassd.instances.records.card_config import interfaces, mac_address
from multipassd.instances.records.record import Mount, Record
from multipassd.instances.states import transitions
from multipassd.instances.states.errors import NameNotFree
from multipassd.system import log
from multipassd.system.background import Tasks
from protocol import names
from protocol.errors import RpcError, StorageFailed
from protocol.status import Status

MAX_NAME = 63  # it is the guest's host name, too (RFC 1035)
REPORT_SECONDS = 1.0  # until the progress is told, and between two reports

_log = log.get("clone")

Report = Callable[[int], None]  # percents of the disk


class InvalidName(RpcError):
    """The name of a new instance can't be used."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid destination instance name: {name}")


class Cloner:
    """Makes clones. A caller that disconnects ends its clone, and then nothing is left of it."""

    def __init__(self, instances: Instances, authority: SshAuthority) -> None:
        self._instances = instances
        self._authority = authority  # whose certificates they let in
        self._tasks = Tasks()

    async def clone(
        self,
        source: Instance,
        name: str | None,
        owner: Owner,
        mounts: tuple[Mount, ...],
        report: Report,
    ) -> Instance:
        """With these of its mounts; without a name, with the next default one. Raises RpcError,
        and then nothing is left."""
        if not self._instances.driver.clones:
            raise NotOnBackend("clone")
        source.check(transitions.CLONE)
        chosen = self._default_name(source.record) if name is None else name
        if not names.valid(chosen) or len(chosen) > MAX_NAME:
            raise InvalidName(chosen)
        ended = threading.Event()
        cloning = self._tasks.spawn(self._clone(source, chosen, owner, mounts, report, ended))
        try:
            return await asyncio.shield(cloning)
        except asyncio.CancelledError:
            ended.set()
            await self._tasks.complete(self._undo(cloning))
            raise

    async def _undo(self, cloning: asyncio.Task[Instance]) -> None:
        """Once it has ended: its thread would go on writing."""
        await asyncio.wait({cloning})
        if not cloning.cancelled() and cloning.exception() is None:
            await self._instances.purge(cloning.result())

    def _default_name(self, source: Record) -> str:
        """The clones made of it so far, plus 1; further on where an instance has that name."""
        number, taken = source.clones + 1, self._instances.taken()
        while (name := f"{source.name}-clone{number}") in taken:
            number += 1
        return name

    async def _clone(
        self,
        source: Instance,
        name: str,
        owner: Owner,
        mounts: tuple[Mount, ...],
        report: Report,
        ended: threading.Event,
    ) -> Instance:
        amounts = quotas.of_record(source.record)
        with self._instances.claimed(name, owner, amounts):
            if stranger := await self._instances.driver.stranger(name):
                raise NameNotFree(name, stranger)
            async with source.held(transitions.CLONE):
                await source.snapshots.reconcile()
                made = await asyncio.to_thread(self._make_place, name)
                try:
                    instance = await self._make(source, name, owner, mounts, report, ended)
                except BaseException:
                    await self._instances.leftovers.unmake(name, made)
                    raise
                with suppress(StorageFailed):  # the next default name avoids this one all the same
                    source.change(clones=source.record.clones + 1)
        return instance

    def _make_place(self, name: str) -> str:
        """Raises NameNotFree, StorageFailed."""
        registry = self._instances.registry
        try:
            return registry.make_place(name)
        except FileExistsError:
            why = f"{registry.place(name)} is in the way, and is left alone."
            raise NameNotFree(name, why) from None
        except OSError as error:
            raise _not_written(name, error) from error

    async def _make(
        self,
        source: Instance,
        name: str,
        owner: Owner,
        mounts: tuple[Mount, ...],
        report: Report,
        ended: threading.Event,
    ) -> Instance:
        registry, driver = self._instances.registry, self._instances.driver
        keys = await asyncio.to_thread(ssh_keys.make)
        record = self._record(source.record, name, owner, mounts, keys)
        place = registry.place(name)
        links = self._instances.networking.links(record.cards)
        machine = Machine(name, place, record.cpus, record.memory, record.hardware, links)
        tags = [each.tag for each in source.record.snapshots]
        try:
            _stage(name, "seed")
            line = await asyncio.to_thread(self._authority.line, record)
            seed = CloneSeed(name, record.instance_id, keys, interfaces(record), line)
            if await driver.write_clone_seed(source.machine, machine, seed):
                record = record.replace(ssh_authority=self._authority.public)
            _stage(name, "disk")
            told = _Progress(report, ended)
            await told.of(driver.clone(source.machine, machine, tags, told.note))
        except OSError as error:
            raise _not_written(name, error) from error
        _stage(name, "record")
        if ended.is_set():
            raise Ended
        registry.put(record)
        _stage(name, "done")
        return self._instances.add(record)

    def _record(
        self, source: Record, name: str, owner: Owner, mounts: tuple[Mount, ...], keys: SshKey
    ) -> Record:
        taken = self._instances.registry.mac_addresses()
        networks = tuple(each.replace(mac=mac_address(taken)) for each in source.networks)
        return Record(  # all else is as of a new instance
            name=name,
            instance_id=f"{name}-{os.urandom(8).hex()}",
            image=source.image,
            hardware={key: source.hardware[key] for key in source.hardware.keys() - {SERVICE}},
            cpus=source.cpus,
            memory=source.memory,
            disk=source.disk,
            mac=mac_address(taken),
            networks=networks,
            mounts=mounts,
            host_key=keys.public,
            ssh_user=source.ssh_user,
            ssh_key=source.ssh_key,
            ssh_key_alone=UNCHECKED,
            owner=owner.name,
        )


class Ended(RpcError):
    """The caller of a clone has disconnected."""

    status = Status.CANCELLED
    sentence = "The clone was cancelled."


class _Progress:
    """What a copy's thread notes and the caller is told, once a second."""

    def __init__(self, report: Report, ended: threading.Event) -> None:
        self._report = report
        self._ended = ended
        self._percent = 0

    def note(self, percent: int) -> None:
        """Raises Ended, which ends the copy."""
        self._percent = percent
        if self._ended.is_set():
            raise Ended

    async def of(self, copying: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(copying)
        while not (await asyncio.wait({task}, timeout=REPORT_SECONDS))[0]:
            self._report(self._percent)
        await task


def _not_written(name: str, error: OSError) -> StorageFailed:
    return StorageFailed(f"The files of {name} can't be written: {error.strerror or error}.")


def _stage(name: str, stage: str) -> None:
    _log.debug("clone of %s: %s", name, stage)
