"""Adding and removing mounts: record and reality agree after a failure at any point. Stand-ins for
what serves them."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from multipassd.instances.attachments.classic_mounts import ClassicMounts
from multipassd.instances.attachments.mounts import MountRefused, Mounts, NotUnmounted
from multipassd.instances.attachments.native_mounts import NativeMounts
from multipassd.instances.records.record import Mount, MountKind
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.mounts.client import MountFailed
from protocol.errors import StorageFailed
from tools import records
from tools.sandbox import Sandbox

MOUNT = Mount(source="/srv", target="data", uid=1, gid=1)


class Classic:
    """Writes down what is served."""

    def __init__(self) -> None:
        self.served: list[Mount] = []
        self.why = ""
        self.answered: object = None

    def note_answer(self, execute: object) -> None:
        self.answered = execute

    async def serve(self, mount: Mount, announce: object) -> None:
        if self.why:
            raise MountFailed(self.why)
        self.served.append(mount)

    async def release(self, mount: Mount) -> None:
        if self.why:
            raise MountFailed(self.why)

    async def stop(self, mount: Mount) -> None:
        if mount in self.served:
            self.served.remove(mount)


class Native(Classic):
    able = True

    def refusal(self, mount: Mount) -> str:
        return self.why


class Stored(StoredRecord):
    """On a disk that may be full."""

    full = False

    def change(self, **fields: object) -> None:
        if self.full:
            raise StorageFailed("no space")
        super().change(**fields)


@pytest.fixture
def stored(sandbox: Sandbox) -> Stored:
    return Stored(records.make("foo"), records.registry(sandbox))


def mounts_of(stored: Stored, classic: Classic, native: Native | None = None) -> Mounts:
    parts = cast(ClassicMounts, classic), cast(NativeMounts, native or Native())
    return Mounts(stored, *parts, lambda: True)


def add(mounts: Mounts, mount: Mount = MOUNT, *, answers: bool = True) -> None:
    asyncio.run(mounts.add(mount, print, stopped=not answers, answers=answers))


def test_a_guest_that_answered_while_mounts_were_off_can_be_reached_once_they_are_on(
    stored: Stored,
) -> None:
    async def execute(command: str, seconds: float, key: str | None = None, /) -> str:
        raise AssertionError

    classic = Classic()
    mounts = Mounts(
        stored, cast(ClassicMounts, classic), cast(NativeMounts, Native()), lambda: False
    )
    asyncio.run(mounts.after_answer(execute, print))
    assert classic.answered is execute


def test_one_that_can_not_be_served_is_not_recorded(stored: Stored) -> None:
    classic = Classic()
    classic.why = "no answer"
    with pytest.raises(MountRefused, match='error mounting "data": no answer'):
        add(mounts_of(stored, classic))
    assert stored.record.mounts == ()


def test_one_that_can_not_be_recorded_is_not_served(stored: Stored) -> None:
    classic, stored.full = Classic(), True
    with pytest.raises(StorageFailed):
        add(mounts_of(stored, classic))
    assert classic.served == [] and stored.record.mounts == ()


def test_one_whose_removal_can_not_be_recorded_stays_served(stored: Stored) -> None:
    classic = Classic()
    mounts = mounts_of(stored, classic)
    add(mounts)
    stored.full = True
    with pytest.raises(StorageFailed):
        asyncio.run(mounts.remove(""))
    assert classic.served == [MOUNT] == list(stored.record.mounts)
    stored.full = False
    asyncio.run(mounts.remove("/home/ubuntu/data/"))
    assert classic.served == [] and stored.record.mounts == ()


def test_one_that_the_guest_uses_stays_served_and_recorded(stored: Stored) -> None:
    classic = Classic()
    mounts = mounts_of(stored, classic)
    add(mounts)
    classic.why = "umount: target is busy."
    with pytest.raises(NotUnmounted) as busy:
        asyncio.run(mounts.remove(MOUNT.target))
    assert busy.value.message == (
        f"failed to unmount \"{MOUNT.target}\" from 'foo': umount: target is busy."
    )
    assert classic.served == [MOUNT] == list(stored.record.mounts)


def test_one_that_does_not_answer_is_recorded_only(stored: Stored) -> None:
    classic = Classic()
    add(mounts_of(stored, classic), answers=False)
    assert classic.served == [] and stored.record.mounts == (MOUNT,)


def test_a_native_one_needs_a_stopped_instance_and_a_host_that_can(stored: Stored) -> None:
    native = Native()
    mounts = mounts_of(stored, Classic(), native)
    mount = MOUNT.replace(kind=MountKind.NATIVE)
    with pytest.raises(MountRefused, match="Please stop the instance foo before"):
        add(mounts, mount)
    native.why = "there is no virtiofsd"
    with pytest.raises(MountRefused, match="there is no virtiofsd"):
        add(mounts, mount, answers=False)
    native.why = ""
    add(mounts, mount, answers=False)
    assert stored.record.mounts == (mount,) and native.served == []
