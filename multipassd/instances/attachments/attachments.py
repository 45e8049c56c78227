"""All attachments of one instance. A new kind is a file beside this one and a line in it."""

from __future__ import annotations

from contextlib import suppress

from multipassd.cloudinit.logins import Logins
from multipassd.drivers.interface import Machine
from multipassd.instances.attachments.attachment import Attachment, Execute, Fields, Warn
from multipassd.instances.attachments.classic_mounts import ClassicMounts
from multipassd.instances.attachments.delayed_stop import DelayedStop
from multipassd.instances.attachments.guest_clock import GuestClock
from multipassd.instances.attachments.login_key import LoginKey
from multipassd.instances.attachments.mounts import Mounts
from multipassd.instances.attachments.native_mounts import NativeMounts
from multipassd.instances.attachments.network_cards import NetworkCards
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.transitions import Command
from multipassd.mounts.client import MountServers
from multipassd.network.interface import Networking
from protocol.messages.information import InstanceDetails


class Attachments:
    """The hooks of `Attachment`, each called for all kinds: in order, at the end in reverse."""

    def __init__(
        self,
        record: StoredRecord,
        networking: Networking,
        servers: MountServers | None = None,
        *,
        shares: bool = False,
        logins: Logins | None = None,
    ) -> None:
        """`servers`: of mounts; without it there are none. `shares`: can the machine have any?
        `logins`: by which guests are logged in to."""
        self.cards = NetworkCards(record, networking)
        self.delayed_stop = DelayedStop(record)
        self.login_key = LoginKey(record, logins)
        classic = ClassicMounts(record, self.cards, servers, logins)
        enabled = servers.enabled if servers is not None else lambda: False
        native = NativeMounts(record, servers, enabled, able=shares)
        self.mounts = Mounts(record, classic, native, enabled)
        self._all: tuple[Attachment, ...] = (
            self.cards,
            self.delayed_stop,
            GuestClock(record.name),
            self.login_key,  # before what may take long: it ends the access of former clients
            self.mounts,
        )

    def check(self, command: Command) -> None:
        """Raises WrongState."""
        for each in self._all:
            each.check(command)

    def fields_at_start(self) -> Fields:
        return {key: value for each in self._all for key, value in each.fields_at_start().items()}

    async def before_start(self) -> None:
        for each in self._all:
            await each.before_start()

    def equip(self, machine: Machine) -> Machine:
        for each in self._all:
            machine = each.equip(machine)
        return machine

    async def after_answer(self, execute: Execute, warn: Warn) -> None:
        for each in self._all:
            await each.after_answer(execute, warn)

    async def before_suspend(self, execute: Execute) -> None:
        for each in reversed(self._all):
            await each.before_suspend(execute)

    async def after_pause(self, execute: Execute) -> None:
        for each in self._all:
            await each.after_pause(execute)

    def fields_at_end(self) -> Fields:
        return {key: value for each in self._all for key, value in each.fields_at_end().items()}

    async def after_end(self) -> None:
        """Never fails."""
        for each in reversed(self._all):
            with suppress(Exception):
                await each.after_end()

    async def on_purge(self) -> None:
        """Never fails."""
        for each in reversed(self._all):
            with suppress(Exception):
                await each.on_purge()

    def describe(self, details: InstanceDetails, *, running: bool) -> None:
        for each in self._all:
            each.describe(details, running=running)

    def close(self) -> None:
        for each in self._all:
            each.close()
