"""Finding instances by name and by what they are: the same for all of them and for a caller's."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from multipassd.instances.records.damaged import Damaged, InstanceDamaged
from multipassd.instances.states.errors import InstanceDeleted, Several
from protocol.errors import RpcError
from protocol.messages.common import InstanceNames

if TYPE_CHECKING:
    from multipassd.instances.instance import Instance

Found = TypeVar("Found")


class Finder(ABC):
    """Instances by name. What `everything` and `find` know of, exists."""

    @abstractmethod
    def everything(self) -> list[Instance | Damaged]:
        """The damaged ones, too, by name."""

    @abstractmethod
    def find(self, name: str) -> Instance | Damaged:
        """Raises NoSuchInstance, BeingPrepared."""

    def all(self) -> list[Instance]:
        """Live and deleted ones, by name."""
        return [each for each in self.everything() if not isinstance(each, Damaged)]

    def live(self) -> list[Instance]:
        return [each for each in self.all() if not each.record.deleted]

    def deleted(self) -> list[Instance]:
        return [each for each in self.all() if each.record.deleted]

    def get(self, name: str) -> Instance:
        """Live or deleted. Raises NoSuchInstance, BeingPrepared, InstanceDamaged."""
        found = self.find(name)
        if isinstance(found, Damaged):
            raise InstanceDamaged(found)
        return found

    def get_live(self, name: str) -> Instance:
        """Raises NoSuchInstance, InstanceDeleted, BeingPrepared, InstanceDamaged."""
        instance = self.get(name)
        if instance.record.deleted:
            raise InstanceDeleted(name)
        return instance

    def chosen(self, names: Iterable[str]) -> list[Instance]:
        """The live instances of these names, each once; all of them if there is no name."""
        wanted = list(dict.fromkeys(names))
        return collect(wanted, self.get_live) if wanted else self.live()


def named(names: InstanceNames | None) -> list[str]:
    """The names in a request, which may leave the field out."""
    return names.instance_name if names is not None else []


def collect(names: Iterable[str], find: Callable[[str], Found]) -> list[Found]:
    """Every one found, or all that is wrong with the names. Raises Several."""
    found: list[Found] = []
    errors: list[RpcError] = []
    for name in names:
        try:
            found.append(find(name))
        except RpcError as error:
            errors.append(error)
    if errors:
        raise Several(errors)
    return found


async def for_each(instances: Iterable[Found], work: Callable[[Found], Awaitable[None]]) -> None:
    """Do it to all at once. Raises Several with what went wrong, after all have ended."""
    results = await asyncio.gather(*(work(each) for each in instances), return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    for error in errors:
        if not isinstance(error, RpcError):
            raise error
    known = [error for error in errors if isinstance(error, RpcError)]
    if known:
        raise Several(known)
