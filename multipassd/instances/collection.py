"""All instances: found by name, taken up again at start, stopped in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from multipassd.instances.finder import Finder
from multipassd.instances.leftovers import Leftovers
from multipassd.instances.owners.claims import Claim, Claims
from multipassd.instances.owners.owner import SERVICE, Owner
from multipassd.instances.owners.quotas import Amounts
from multipassd.instances.records.arrivals import Arrivals
from multipassd.instances.records.damaged import Damaged
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.registry import Registry
from multipassd.instances.site import Site
from multipassd.instances.states.errors import (
    BeingPrepared,
    NameNotFree,
    NameTaken,
    NoSuchInstance,
)
from multipassd.system import log
from protocol.errors import RpcError

if TYPE_CHECKING:
    from multipassd.drivers.interface import Driver
    from multipassd.instances.instance import Instance
    from multipassd.instances.records.record import Record
    from multipassd.mounts.client import MountServers
    from multipassd.network.interface import Networking

_log = log.get("instances")


class Instances(Finder):
    """The instances of this service, by name."""

    def __init__(self, registry: Registry, site: Site) -> None:
        self.registry = registry
        self._arrivals = Arrivals(registry)
        self._site = site
        self._instances: dict[str, Instance] = {}
        self.claims = Claims(self._records_of)
        self._owned: dict[str, dict[str, Instance]] = {}  # by the owner
        self.preparing: dict[str, str] = {}  # names that launches have taken, with their owners
        self.earlier = ""  # of instances of 1.16 in this storage, a sentence
        self._reconciling: asyncio.Task[None] | None = None
        self.leftovers = Leftovers(registry, site)

    def __len__(self) -> int:
        return len(self._instances)

    @property
    def driver(self) -> Driver:
        return self._site.driver

    @property
    def networking(self) -> Networking:
        return self._site.networking

    @property
    def servers(self) -> MountServers | None:
        return self._site.servers

    @property
    def busy(self) -> bool:
        """An instance runs or is being worked on, so the daemon must stay."""
        return bool(self.preparing) or any(each.busy for each in self._instances.values())

    # -- start and stop of the daemon -------------------------------------------------------------

    def load(self) -> None:
        """Read the records. `resume` is what takes their machines up again."""
        self.registry.load()
        for record in self.registry.all():
            self.add(record)

    async def resume(self) -> None:
        """Find the guests that run, and complete what a killed daemon was about to remove."""
        await self.leftovers.remove_all()
        if not self.taken() and self.registry.whole and not self._site.has_traces:
            return
        await asyncio.to_thread(self.registry.reconcile)
        strangers = await self._strangers()
        for why in strangers:
            _log.warning("%s", why)
        ran = [each for each in self._instances.values() if each.record.phase is Phase.RUNNING]
        await asyncio.gather(*(instance.reattach() for instance in ran))
        for instance in self._instances.values():
            if instance.record.pending is not None:
                instance.complete_pending()
        if self.registry.whole and not strangers:  # else those may use it
            # In the background: a network in trouble must not delay the start.
            self._reconciling = asyncio.create_task(self._reconcile_network())

    def _look_at(self, name: str) -> None:
        """Another program has started or removed its machine."""
        if (instance := self._instances.get(name)) is not None:
            instance.look()

    def follow(self) -> None:
        """See what happens to the machines, also where there is no instance yet."""
        self.driver.open(self._look_at, self._see_unused)

    def _see_unused(self, name: str) -> None:
        """A machine of this service's was never started; it may be in the making."""
        if not self._in_use(name):
            self.leftovers.remove_unused(name)

    async def _strangers(self) -> list[str]:
        """A sentence for each machine that runs and is none of these instances'."""
        others = [name for name in self.driver.names() if name not in self.taken()]
        return [why for name in others if (why := await self.driver.stranger(name))]

    async def _reconcile_network(self) -> None:
        try:
            await self.networking.reconcile(each.cards for each in self.registry.all())
        except RpcError as error:
            _log.warning("what purged instances had of the network is kept: %s", error.message)

    def close(self) -> None:
        if self._reconciling is not None:
            self._reconciling.cancel()
        self.leftovers.close()
        for instance in self._instances.values():
            instance.close()

    # -- finding ----------------------------------------------------------------------------------

    def everything(self) -> list[Instance | Damaged]:
        found: dict[str, Instance | Damaged] = {**self._instances, **self.registry.damaged}
        return [found[name] for name in sorted(found)]

    def sound(self) -> list[Instance]:
        """Those that are not damaged."""
        return list(self._instances.values())

    def find(self, name: str) -> Instance | Damaged:
        if name in self.preparing:
            raise BeingPrepared(name)
        found = self.registry.damaged.get(name) or self._instances.get(name)
        if found is None:
            raise NoSuchInstance(name)
        return found

    def find_of(self, owner: str, name: str) -> Instance | Damaged:
        """One of this owner's, which is not empty. Raises NoSuchInstance, also for another's, and
        BeingPrepared."""
        if name in self.preparing or name in self.registry.damaged:
            if not owner or self.owner_of(name) != owner:
                raise NoSuchInstance(name)
            return self.find(name)
        found = self._owned[owner].get(name) if owner and owner in self._owned else None
        if found is None:
            raise NoSuchInstance(name)
        return found

    def owned_by(self, owner: str) -> list[Instance | Damaged]:
        """The damaged ones, too, by name; their number is what it costs."""
        found: dict[str, Instance | Damaged] = dict(self._owned.get(owner, {}))
        for damaged in self.registry.damaged.values():
            if damaged.owner == owner:
                found[damaged.name] = damaged
        return [found[name] for name in sorted(found)]

    def owner_of(self, name: str) -> str:
        """Of an instance, or of one in the making; empty without one."""
        if name in self.preparing:
            return self.preparing[name]
        if found := self.registry.damaged.get(name):
            return found.owner
        instance = self._instances.get(name)
        return instance.record.owner if instance is not None else ""

    def _records_of(self, owner: str) -> list[Record]:
        found = self.owned_by(owner)
        records = [each.copy if isinstance(each, Damaged) else each.record for each in found]
        return [each for each in records if each is not None]

    def owners(self) -> set[str]:
        """The names that own an instance."""
        return {*self._owned, *self.preparing.values()} - {""}

    # -- coming and going -------------------------------------------------------------------------

    @contextmanager
    def claimed(self, name: str, owner: Owner, amounts: Amounts) -> Iterator[Claim]:
        """Reserve the name, and what the new instance takes of the owner's quota. Raises as
        `reserved`, and QuotaExceeded."""
        with self.reserved(name, owner), self.claims.hold(owner, amounts, name) as claim:
            yield claim

    @contextmanager
    def reserved(self, name: str, owner: Owner = SERVICE) -> Iterator[None]:
        """Reserve the name for an instance of this owner. Raises NameTaken, BeingPrepared,
        NameNotFree; of what others have, no more than that the name is taken."""
        if not owner.sees_all and self.owner_of(name) != owner.name and self._in_use(name):
            raise NameTaken(name)
        if name in self.preparing:
            raise BeingPrepared(name)
        if found := self._instances.get(name):
            raise NameTaken(name, deleted=found.record.deleted)
        if damaged := self.registry.damaged.get(name):
            raise NameNotFree(name, damaged.trouble)
        if self.registry.has_traces_of(name):
            raise NameNotFree(
                name,
                f"the service does not know what lies in {self.registry.place(name)}, and leaves "
                "it alone. A restart of the service reads it.",
            )
        self.preparing[name] = owner.name
        try:
            yield
        finally:
            del self.preparing[name]

    def _in_use(self, name: str) -> bool:
        return name in self.taken() or self.registry.has_traces_of(name)

    def taken(self) -> set[str]:
        return {*self.preparing, *self._instances, *self.registry.damaged}

    def add(self, record: Record) -> Instance:
        from multipassd.instances.instance import Instance

        site = self._site
        instance = Instance(
            record, self.registry, site.driver, site.networking, site.key_path, site.servers,
            site.logins,
        )  # fmt: skip
        self.follow()
        self._instances[record.name] = instance
        self._owned.setdefault(record.owner, {})[record.name] = instance
        return instance

    def _remove(self, instance: Instance) -> None:
        del self._instances[instance.name]
        self._take_from(instance.record.owner, instance.name)

    def _take_from(self, owner: str, name: str) -> None:
        del self._owned[owner][name]
        if not self._owned[owner]:
            del self._owned[owner]

    def give(self, instance: Instance, owner: str) -> None:
        """Make it another owner's. Raises StorageFailed, and then nothing has changed."""
        former = instance.record.owner
        instance.change(owner=owner)
        self._take_from(former, instance.name)
        self._owned.setdefault(owner, {})[instance.name] = instance

    def let_go(self, instance: Instance) -> None:
        """Forget an instance of another service, and nothing else. Raises StorageFailed."""
        self.registry.give_up(instance.name)
        self.registry.remove(instance.name)
        self.registry.remove_files(instance.name)
        instance.retire()
        self._remove(instance)

    async def rename(self, instance: Instance, name: str, caller: Owner) -> None:
        """`caller`: who asks for it. Raises NameTaken, BeingPrepared, NameNotFree, WrongState
        where it is not stopped, StorageFailed; then nothing has changed."""
        from multipassd.instances.records import renaming

        with self.reserved(name, caller):
            if stranger := await self.driver.stranger(name):
                raise NameNotFree(name, stranger)
            async with instance.held():
                record = renaming.rename(self.registry, instance.record, name)
                instance.retire()
                self._remove(instance)
                self.add(record)

    async def purge(self, instance: Instance | Damaged) -> None:
        """Remove it with its disk. Its name is free when this returns."""
        if isinstance(instance, Damaged):
            from multipassd.instances import damage

            await damage.purge(self, instance)
            return
        await instance.purge()
        if self._instances.get(instance.name) is instance:
            self._remove(instance)

    def take_up_new(self) -> None:
        """Those that `multipass-migrate` has put there while this runs. To be called every second
        or so. Never fails."""
        lost = set(self.registry.damaged)
        for record in self._arrivals.read(self.preparing):
            _log.info("%s is here now", record.name)
            instance = self.add(record)
            if record.phase is Phase.RUNNING or record.name in lost:  # its machine may run
                instance.look()

    def stop_what_is_due(self) -> None:
        """To be called every second or so."""
        for instance in self._instances.values():
            instance.stop_if_due()
