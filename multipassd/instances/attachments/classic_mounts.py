"""The classic mounts of an instance: served while it runs, and kept through all that ends them."""

from __future__ import annotations

from collections.abc import Callable

from multipassd.instances.attachments.attachment import Attachment
from multipassd.instances.attachments.network_cards import NetworkCards
from multipassd.instances.records.record import Mount
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.mounts.client import MountFailed, MountServers


class ClassicMounts(Attachment):
    """The mounts of kind CLASSIC in the record of one instance. The record is changed by the
    caller, except that a mount whose source is refused at a start is dropped from it."""

    def __init__(
        self, record: StoredRecord, cards: NetworkCards, servers: MountServers | None
    ) -> None:
        self._record = record
        self._cards = cards
        self._servers = servers

    async def serve(self, mount: Mount, announce: Callable[[str], None]) -> None:
        """Mount it in the guest, which runs and answers; returns once it is mounted. From then on
        it is kept until `stop`. No part of its source may be a symbolic link. Raises MountFailed,
        whose message is the reason, and then nothing is mounted.

        `announce`: told of what takes long."""
        raise MountFailed("classic mounts are not served yet")

    async def stop(self, mount: Mount) -> None:
        """Unmount it and end its server; nothing to do where it is not mounted. Raises MountFailed
        where the guest does not unmount it; its server has ended all the same."""
