"""The interface of the ways to make an ethernet device a port of a bridge of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from multipassd.network.interfaces import MAX_NAME
from multipassd.network.tools import NetworkFailure

PREFIX = "br-"  # 1.16's


@dataclass(frozen=True)
class Uplink(ABC):
    """A bridge on one ethernet device, planned or made, with all that is needed to undo it.

    It is on record before it is applied, so the fields are what JSON has: strings, and lists of
    them as tuples.
    """

    key: ClassVar[str]  # of this way in the record; those on hosts keep theirs

    device: str
    bridge: str

    @staticmethod
    @abstractmethod
    def manages(device: str) -> bool:
        """Is the device configured in this way on this host? Raises NetworkFailure."""

    @classmethod
    @abstractmethod
    def plan(cls, device: str, bridge: str) -> Self:
        """Changes nothing. Raises NetworkFailure where it can't be done."""

    @abstractmethod
    def apply(self) -> None:
        """Make the bridge, the device its port; returns once the bridge has the device's addresses.
        Raises NetworkFailure; then `undo` it."""

    @abstractmethod
    def undo(self) -> None:
        """Give the device back what it had, however much of the plan was applied. Raises
        NetworkFailure while something of the plan is left."""

    def current(self) -> Self | None:
        """What to undo of a bridge that was made a while ago; None if nothing of it is left. Raises
        NetworkFailure."""
        return self

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Raises TypeError, KeyError."""
        return cls(**fields)


def bridge_name(device: str) -> str:
    """Raises NetworkFailure for a name that leaves no room."""
    name = PREFIX + device
    if len(name) > MAX_NAME:
        raise NetworkFailure(
            f"A bridge for {device} would have a name longer than {MAX_NAME} letters. Please make "
            "one yourself, and name that as the network."
        )
    return name
