"""The interface of what belongs to an instance besides its machine, as network cards do. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from multipassd.drivers.interface import Machine
from multipassd.instances.states.transitions import Command
from protocol.messages.information import InstanceDetails

Fields = Mapping[str, object]  # of the instance's record, by name
Warn = Callable[[str], None]  # a sentence for the clients that wait for the start


class Execute(Protocol):
    """Runs a command in the guest for at most some seconds and returns its output."""

    def __call__(self, command: str, seconds: float, key: str | None = None, /) -> Awaitable[str]:
        """`key`: the name of the key to log in by, in place of the record's. Raises GuestSilent,
        NotRunning, DriverError."""


class Attachment:
    """Hooks on the life of one instance; a kind of attachment overrides those that it needs."""

    def check(self, command: Command) -> None:
        """While the machine runs, before anything is done. Raises WrongState: then nothing is."""

    def fields_at_start(self) -> Fields:
        """What is recorded before the machine starts. Raises RpcError: then it is not started."""
        return {}

    async def before_start(self) -> None:
        """Set up what the machine needs on the host. Raises RpcError: then it is not started."""

    def equip(self, machine: Machine) -> Machine:
        """The machine with what the attachment adds to it. Changes nothing on the host."""
        return machine

    async def after_answer(self, execute: Execute, warn: Warn) -> None:
        """The guest answers for the first time after its start, or after this daemon's. Clients
        that start it wait for this. Never fails."""

    async def before_suspend(self, execute: Execute) -> None:
        """The guest is about to be suspended. Never fails."""

    async def after_pause(self, execute: Execute) -> None:
        """The guest answers and goes on after it was suspended or stalled, or after it could not
        be suspended. Never fails."""

    def fields_at_end(self) -> Fields:
        """What is recorded once the machine has ended."""
        return {}

    async def after_end(self) -> None:
        """Undo `before_start`, also where that failed half-way. What it raises is ignored."""

    async def on_purge(self) -> None:
        """The instance was purged: release what is kept for it. What it raises is ignored."""

    def describe(self, details: InstanceDetails, *, running: bool) -> None:
        """Fill in what `info` shows of the attachment."""

    def close(self) -> None:
        """The daemon goes; the machine and what serves it stay."""
