"""Keeps what several services know of shared instances the same: publishes what changed here, takes
over what changed there, adopts instances of others and lets go of them.

An instance of another service is in this one's records like its own, and marked. When it is no more
shared, only its record here is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from multipassd.cloudinit import seed as seed_disk
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.userdata import USER
from multipassd.drivers import machine_files
from multipassd.drivers.shared_machines import Offer, SharedMachines
from multipassd.instances.sharing import shared_record
from multipassd.system import log
from multipassd.system.background import Tasks
from multipassd.system.files import read_regular, write_atomically
from protocol import names
from protocol.errors import RpcError

if TYPE_CHECKING:
    from multipassd.instances.collection import Instances
    from multipassd.instances.instance import Instance
    from multipassd.instances.records.record import Record

MOST = 1000  # instances in all; how many others offer is for others to say
AGAIN_SECONDS = 30.0  # after a failure
SEEN, SEEN_MODE = "shared.json", 0o600  # in an instance's directory: what all agreed on last

_log = log.get("instances")


class Agreed(NamedTuple):
    """What this service and the cluster said of an instance when both said the same."""

    record: Record
    text: bytes


class Sharing:
    """Of all instances. `look` is to be called every second or so."""

    def __init__(
        self, instances: Instances, machines: SharedMachines, authority: SshAuthority
    ) -> None:
        self._instances = instances
        self._machines = machines
        self._authority = authority
        self._agreed: dict[str, Agreed] = {}
        self._let_in: set[str] = set()  # guests of others that run and let this service in
        self._working = False
        self._ended = False  # nothing is shared, and nothing is left of it
        self._not_before = 0.0
        self._tasks = Tasks()

    def close(self) -> None:
        """For a driver that is chosen no more; each step may be broken off."""
        self._tasks.cancel()

    def look(self) -> None:
        """Never fails: what can't be done now is tried again."""
        wanted = self._machines.enabled() or not self._ended
        due = asyncio.get_running_loop().time() >= self._not_before
        if wanted and due and not self._working:
            self._working = True
            self._tasks.spawn(self._work())

    async def _work(self) -> None:
        try:
            if self._machines.enabled():
                await self._share()
            else:
                await self._end()
        except (RpcError, OSError) as error:
            _log.warning("instances are not shared now: %s", error)
            self._not_before = asyncio.get_running_loop().time() + AGAIN_SECONDS
        finally:
            self._working = False

    async def _share(self) -> None:
        self._ended = False
        offers = self._machines.offers()
        if offers is None:
            return
        instances, taken = self._instances.sound(), self._instances.taken()
        new = sorted(offers.keys() - taken)[: max(0, MOST - len(taken))]
        await _each(
            *(partial(self._keep, each, offers.get(each.name)) for each in instances),
            *(partial(self._adopt, name, offers[name]) for name in new),
        )

    async def _keep(self, instance: Instance, offer: Offer | None) -> None:
        """`offer`: of another service, under its name. Raises RpcError, OSError."""
        service = instance.record.service
        if offer is not None and not offer.text:
            return  # what there is of it is not known now
        if (offer.service if offer is not None else "") == service:
            await self._agree(instance)
            await self._enter(instance)
        elif service:
            self._let_go(instance, "it is no more shared by the service that made it")
        else:
            _log.debug("another service has an instance %s on the cluster", instance.name)

    async def _end(self) -> None:
        """It is not wanted: nothing stays published, and what is others' is let go."""
        if self._machines.offers() is None:
            return
        await _each(*(partial(self._withdraw, each) for each in self._instances.sound()))
        self._agreed.clear()
        self._ended = not any(each.record.service for each in self._instances.sound())

    async def _withdraw(self, instance: Instance) -> None:
        """Raises RpcError."""
        if instance.record.service:
            self._let_go(instance, "local.incus.shared is false")
        elif self._machines.published(instance.name, ""):
            await self._machines.publish(instance.name, b"")
            self._forget(instance.name)

    # -- to agree ---------------------------------------------------------------------------------

    async def _agree(self, instance: Instance) -> None:
        """What has changed here since both agreed is published, also if it has changed there."""
        name, record = instance.name, instance.record
        there, known = self._machines.published(name, record.service), self._agreed.get(name)
        if there is None or (known and known.record is record and known.text == there):
            return
        here = shared_record.shared(record)
        seen = known.text if known else self._read_seen(name)
        if there and here not in (there, b"") and here == seen:
            if instance.locked or shared_record.is_older(record, there):
                return
            self._take_over(instance, there)
            here = shared_record.shared(instance.record)
        if here != there:
            await self._machines.publish(name, here)
        self._note(instance, here)

    def _take_over(self, instance: Instance, text: bytes) -> None:
        """What can't be used is replaced by what is known here."""
        try:
            changed = shared_record.changed(instance.record, text)
        except ValueError as error:
            _log.warning("what another service tells of %s is not used: %s", instance.name, error)
            return
        if changed.owner != instance.record.owner:
            self._instances.give(instance, changed.owner)
        instance.put(changed)

    def _note(self, instance: Instance, text: bytes) -> None:
        self._agreed[instance.name] = Agreed(instance.record, text)
        path = self._instances.registry.place(instance.name) / SEEN
        write_atomically(path, text, SEEN_MODE)

    def _read_seen(self, name: str) -> bytes:
        with suppress(OSError):
            path = self._instances.registry.place(name) / SEEN
            return read_regular(path, shared_record.MAX_TEXT)
        return b""

    # -- coming and going -------------------------------------------------------------------------

    async def _adopt(self, name: str, offer: Offer) -> None:
        """Raises RpcError, OSError."""
        registry = self._instances.registry
        if not offer.text or not names.valid(name) or registry.has_traces_of(name):
            return
        try:
            public = await asyncio.to_thread(lambda: self._authority.public)
            record = shared_record.adopted(name, offer.text, offer.service, public)
        except ValueError as error:
            _log.debug("%s of another service is not shown: %s", name, error)
            return
        if record.macs & registry.mac_addresses():
            return
        image = await asyncio.to_thread(seed_disk.image, dict(await self._machines.seed_of(name)))
        with self._instances.reserved(name):
            made = registry.make_place(name)
            try:
                path = registry.place(name) / machine_files.SEED
                write_atomically(path, image, seed_disk.MODE)
                registry.put(record)
            except BaseException:
                registry.unmake_place(name, made)
                raise
            instance = self._instances.add(record)
        self._note(instance, offer.text)
        _log.info("%s is shared by another service, and can be used here", name)
        await instance.reattach()

    def _let_go(self, instance: Instance, why: str) -> None:
        if not instance.locked:
            _log.info("%s is not shown any more: %s", instance.name, why)
            self._instances.let_go(instance)
            self._forget(instance.name)

    def _forget(self, name: str) -> None:
        self._agreed.pop(name, None)
        self._let_in.discard(name)

    async def _enter(self, instance: Instance) -> None:
        """A guest that another service has made does not know this one's certificates."""
        name, record = instance.name, instance.record
        if not instance.record.service or not instance.on:
            self._let_in.discard(name)
        elif name not in self._let_in:
            line = await asyncio.to_thread(shared_record.line, self._authority, record)
            try:
                await self._machines.let_in(name, record.ssh_user or USER, line)
            except RpcError as error:  # it may still boot
                _log.debug("%s does not let this service in yet: %s", name, error.message)
            else:
                self._let_in.add(name)


async def _each(*works: Callable[[], Awaitable[None]]) -> None:
    """One after the other, also after one has failed, as its host may be down. Raises what the last
    one did that failed."""
    failed: RpcError | OSError | None = None
    for work in works:
        try:
            await work()
        except (RpcError, OSError) as error:
            failed = error
    if failed is not None:
        raise failed
