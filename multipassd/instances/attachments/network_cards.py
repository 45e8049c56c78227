"""The network cards of an instance on the host: set up before its start, taken down at its end."""

from __future__ import annotations

from dataclasses import replace

from multipassd.drivers.interface import Machine
from multipassd.instances.attachments.attachment import Attachment, Fields
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.network.interface import Networking
from protocol.messages.information import InstanceDetails


class NetworkCards(Attachment):
    """The cards in the record of one instance, on the networking of this host."""

    def __init__(self, record: StoredRecord, networking: Networking) -> None:
        self._record = record
        self._networking = networking

    def endpoint(self) -> tuple[str, int]:
        """Host and port of the running guest's SSH server. Raises NoAddressYet."""
        return self._networking.endpoint(self._record.record.cards)

    def addresses(self) -> list[str]:
        """The running guest's IPv4 addresses."""
        return self._networking.addresses(self._record.record.cards)

    def fields_at_start(self) -> Fields:
        return {"ssh_port": self._networking.ssh_port(self._record.record.cards)}

    async def before_start(self) -> None:
        await self._networking.attach(self._record.record.cards)

    def equip(self, machine: Machine) -> Machine:
        return replace(machine, links=self._networking.links(self._record.record.cards))

    async def after_end(self) -> None:
        await self._networking.detach(self._record.record.cards)

    async def on_purge(self) -> None:
        await self._networking.release(self._record.record.cards)

    def describe(self, details: InstanceDetails, *, running: bool) -> None:
        details.ipv4 = self.addresses() if running else []
