"""An instance that can't be used, as its record is lost or can't be read. Its disk is left alone.

It is listed in the state Unknown, and its name is taken, until `recover` has rebuilt the record or
`delete --purge` has given it up.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from multipassd.instances.states.errors import WrongState
from multipassd.instances.states.state import State

if TYPE_CHECKING:
    from multipassd.instances.records.record import Record


class Damaged(NamedTuple):
    """What is known of such an instance."""

    name: str
    why: str  # a clause: "its record … is missing"
    place: Path  # of its disk; may be missing, too
    copy: Record | None = None  # what the record can be rebuilt from
    later: bool = False  # a later release wrote the record: there is nothing to repair

    @property
    def state(self) -> State:
        return State.UNKNOWN

    @property
    def owner(self) -> str:
        """By the copy of its record; empty where that is lost, too."""
        return self.copy.owner if self.copy is not None else ""

    @property
    def what(self) -> str:
        """What is wrong."""
        return f"{self.name} can't be used: {self.why}. What lies in {self.place} is left alone."

    @property
    def cure(self) -> str:
        """What to do."""
        if self.later:
            return "Install the later release of the service again: it can use the instance."
        give_up = f"`multipass delete --purge {self.name}` removes the instance and its disk."
        if self.copy is not None:
            rebuild = f"`multipass recover {self.name}` rebuilds the record from its copy there."
        else:
            rebuild = (
                "There is no usable copy of the record there: restore the record from a backup "
                "and restart the service, or copy the disk to another place."
            )
        return f"{rebuild} {give_up}"

    @property
    def trouble(self) -> str:
        return f"{self.what} {self.cure}"


class InstanceDamaged(WrongState):
    """A command needs the record of a damaged instance."""

    def __init__(self, damaged: Damaged) -> None:
        super().__init__(damaged.trouble)


class CannotRebuild(WrongState):
    """There is no copy of the record."""

    def __init__(self, damaged: Damaged) -> None:
        super().__init__(f"The record can't be rebuilt. {damaged.trouble}")
