"""The attachments of an instance: what belongs to it besides its machine, called by its hooks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from multipassd.drivers.interface import Link, Machine
from multipassd.instances.attachments.attachment import Attachment
from multipassd.instances.attachments.attachments import Attachments
from multipassd.instances.attachments.delayed_stop import DelayedStop
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.network.user_mode import UserNetworking
from protocol.messages.information import InstanceDetails
from tools import records
from tools.sandbox import Sandbox


@pytest.fixture
def stored(sandbox: Sandbox) -> StoredRecord:
    return StoredRecord(records.make("foo", ssh_port=2222), records.registry(sandbox))


class Noted(Attachment):
    """Writes down which hooks were called; `fails` in its ends."""

    def __init__(self, name: str, called: list[str], *, fails: bool = False) -> None:
        self._name, self._called, self._fails = name, called, fails

    async def before_start(self) -> None:
        self._called.append(f"{self._name} starts")

    async def after_end(self) -> None:
        self._called.append(f"{self._name} ends")
        if self._fails:
            raise OSError("no")

    async def on_purge(self) -> None:
        await self.after_end()


def test_ends_come_in_reverse_and_one_that_fails_keeps_no_other_from_it(
    stored: StoredRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    attachments = Attachments(stored, UserNetworking(set))
    kinds = (Noted("a", called), Noted("b", called, fails=True))
    monkeypatch.setattr(attachments, "_all", kinds)

    async def story() -> None:
        await attachments.before_start()
        await attachments.after_end()
        await attachments.on_purge()

    asyncio.run(story())
    assert called == ["a starts", "b starts", "b ends", "a ends", "b ends", "a ends"]


def test_the_machine_gets_the_cards_and_info_the_addresses_of_one_that_runs(
    stored: StoredRecord,
) -> None:
    attachments = Attachments(stored, UserNetworking(set))
    machine = Machine("foo", Path("/no/such"), 1, 1 << 20, records.HARDWARE, ())
    assert attachments.equip(machine).links == (Link(stored.record.mac, ssh_port=2222),)
    details = InstanceDetails()
    attachments.describe(details, running=False)
    assert details.ipv4 == []
    attachments.describe(details, running=True)
    assert details.ipv4 == ["N/A"]


def test_a_start_and_an_end_cancel_a_delayed_stop(stored: StoredRecord) -> None:
    stop = DelayedStop(stored)
    assert "5 minutes" in stop.schedule(5)
    assert stop.within(301) and not stop.within(200)
    attachments = Attachments(stored, UserNetworking(set))
    assert attachments.fields_at_start()["stop_at"] == attachments.fields_at_end()["stop_at"] == 0.0
    stop.cancel()
    assert not stop.within(301)
