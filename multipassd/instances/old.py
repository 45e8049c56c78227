"""The registry of instances. Empty: virtual machines come in a later release."""

from __future__ import annotations

from protocol.messages.listing import ListVMInstance, ListVMSnapshot


class Instances:
    def __init__(self) -> None:
        self._instances: list[ListVMInstance] = []
        self._snapshots: list[ListVMSnapshot] = []

    def __len__(self) -> int:
        return len(self._instances)

    def all(self) -> list[ListVMInstance]:
        return self._instances

    def snapshots(self) -> list[ListVMSnapshot]:
        return self._snapshots
