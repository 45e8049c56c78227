"""All instances: found by name, taken up again at start, stopped in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from multipassd import log
from multipassd.drivers.driver import Driver
from multipassd.instances.errors import (
    BeingPrepared,
    InstanceDeleted,
    NameTaken,
    NoSuchInstance,
    NoSuchSnapshot,
    Several,
)
from multipassd.instances.instance import Instance
from multipassd.instances.record import Phase, Record
from multipassd.instances.registry import Registry
from multipassd.network.networking import Networking
from protocol.errors import RpcError
from protocol.messages.common import InstanceNames, InstanceSnapshotPair

_log = log.get("instances")


class Instances:
    def __init__(
        self, registry: Registry, driver: Driver, networking: Networking, key: Path
    ) -> None:
        self.registry = registry
        self.driver = driver
        self.networking = networking
        self._key = key
        self._instances: dict[str, Instance] = {}
        self.preparing: set[str] = set()  # names that launches have taken
        self.changed: Callable[[], None] = lambda: None  # set by the service
        self._settling: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._instances)

    @property
    def busy(self) -> bool:
        """An instance runs or is being worked on, so the daemon must stay."""
        return bool(self.preparing) or any(one.busy for one in self._instances.values())

    # -- start and stop of the daemon -------------------------------------------------------------

    def load(self) -> None:
        """Read the records. `resume` is what takes their machines up again."""
        self.registry.load()
        for record in self.registry.all():
            self.add(record)

    async def resume(self) -> None:
        """Find the guests that run, and remove what was left over by a daemon that was killed."""
        leftovers = self.registry.leftovers()
        await self.driver.clear_others(self.registry.known())
        for name in leftovers:
            _log.info("removing what is left over of %s", name)
            await asyncio.to_thread(self.registry.remove_files, name)
        ran = [one for one in self._instances.values() if one.record.phase is Phase.RUNNING]
        await asyncio.gather(*(instance.reattach() for instance in ran))
        if self.registry.whole:
            # Later: nobody is to wait for a network that is in trouble.
            self._settling = asyncio.create_task(self._settle_network())

    async def _settle_network(self) -> None:
        try:
            await self.networking.settle(self.registry.all())
        except RpcError as error:
            _log.warning("what purged instances had of the network is kept: %s", error.message)

    def close(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
        for instance in self._instances.values():
            instance.close()

    # -- finding ----------------------------------------------------------------------------------

    def all(self) -> list[Instance]:
        return [self._instances[name] for name in sorted(self._instances)]

    def live(self) -> list[Instance]:
        return [one for one in self.all() if not one.record.deleted]

    def deleted(self) -> list[Instance]:
        return [one for one in self.all() if one.record.deleted]

    def get(self, name: str) -> Instance:
        """Live or deleted. Raises NoSuchInstance, BeingPrepared."""
        if name in self.preparing:
            raise BeingPrepared(name)
        instance = self._instances.get(name)
        if instance is None:
            raise NoSuchInstance(name)
        return instance

    def get_live(self, name: str) -> Instance:
        """Raises NoSuchInstance, InstanceDeleted, BeingPrepared."""
        instance = self.get(name)
        if instance.record.deleted:
            raise InstanceDeleted(name)
        return instance

    def chosen(self, names: Iterable[str]) -> list[Instance]:
        """The live instances of these names, each once; all of them if there is no name."""
        wanted = list(dict.fromkeys(names))
        return collect(wanted, self.get_live) if wanted else self.live()

    def paired(self, pairs: Sequence[InstanceSnapshotPair]) -> list[Instance]:
        """Live or deleted, each once; all of them if there is no pair. Raises Several, for any
        snapshot too."""
        if not pairs:
            return self.all()
        found = collect(dict.fromkeys(pair.instance_name for pair in pairs), self.get)
        snapshots = [
            NoSuchSnapshot(pair.instance_name, pair.snapshot_name)
            for pair in pairs
            if pair.snapshot_name is not None
        ]
        if snapshots:
            raise Several(snapshots)
        return found

    # -- coming and going -------------------------------------------------------------------------

    @contextmanager
    def reserved(self, name: str) -> Iterator[None]:
        """Nobody else may take the name meanwhile. Raises NameTaken, BeingPrepared."""
        if name in self.preparing:
            raise BeingPrepared(name)
        if name in self._instances:
            raise NameTaken(name)
        self.preparing.add(name)
        try:
            yield
        finally:
            self.preparing.discard(name)

    def taken(self) -> set[str]:
        return self.preparing | self._instances.keys()

    def add(self, record: Record) -> Instance:
        instance = Instance(
            record, self.registry, self.driver, self.networking, self._key, self._on_change
        )
        self._instances[record.name] = instance
        self._on_change()
        return instance

    async def purge(self, instance: Instance) -> None:
        """Gone for good. Its name is free when this returns."""
        await instance.purge()
        if self._instances.get(instance.name) is instance:
            del self._instances[instance.name]
        self._on_change()

    def stop_what_is_due(self) -> None:
        """To be called every second or so."""
        for instance in self._instances.values():
            instance.stop_if_due()

    def _on_change(self) -> None:
        self.changed()


def named(names: InstanceNames | None) -> list[str]:
    """The names in a request, which may leave the field out."""
    return names.instance_name if names is not None else []


def collect(names: Iterable[str], find: Callable[[str], Instance]) -> list[Instance]:
    """Every one found, or all that is wrong with the names. Raises Several."""
    found: list[Instance] = []
    errors: list[RpcError] = []
    for name in names:
        try:
            found.append(find(name))
        except RpcError as error:
            errors.append(error)
    if errors:
        raise Several(errors)
    return found


async def for_each(
    instances: Iterable[Instance], work: Callable[[Instance], Awaitable[None]]
) -> None:
    """Do it to all at once. Raises Several with what went wrong, after all have ended."""
    results = await asyncio.gather(*(work(one) for one in instances), return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    for error in errors:
        if not isinstance(error, RpcError):
            raise error
    known = [error for error in errors if isinstance(error, RpcError)]
    if known:
        raise Several(known)
