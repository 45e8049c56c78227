"""The instances that exist for one caller. Those of others are not found, by any name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multipassd.auth import ownership
from multipassd.auth.standing import Standing
from multipassd.instances.finder import Finder

if TYPE_CHECKING:
    from multipassd.instances.collection import Instances
    from multipassd.instances.instance import Instance
    from multipassd.instances.records.damaged import Damaged


class View(Finder):
    """What a peer of this standing may know of. Costs what its own instances cost, however many
    there are of others."""

    def __init__(self, instances: Instances, standing: Standing) -> None:
        self._instances = instances
        self._only = ownership.sole_owner(standing)

    @property
    def whole(self) -> bool:
        """Is there no instance that does not exist here?"""
        return self._only is ownership.ALL

    def everything(self) -> list[Instance | Damaged]:
        if self._only is ownership.ALL:
            return self._instances.everything()
        return self._instances.owned_by(self._only) if self._only else []

    def find(self, name: str) -> Instance | Damaged:
        if self._only is ownership.ALL:
            return self._instances.find(name)
        return self._instances.find_of(self._only, name)

    def knows(self, name: str) -> bool:
        """Is it in use, as far as this caller can tell, by an instance or by one in the making?"""
        if self._only is ownership.ALL:
            return name in self._instances.taken()
        return bool(self._only) and self._instances.owner_of(name) == self._only
