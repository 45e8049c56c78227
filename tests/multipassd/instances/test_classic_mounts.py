"""How a mount is kept, with a stand-in for its servers and its guest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from multipassd.instances.attachments import classic_mounts
from multipassd.instances.attachments.classic_mounts import (
    INSTALLING,
    MOST_LINES,
    ClassicMounts,
    NoSupport,
)
from multipassd.instances.attachments.network_cards import NetworkCards
from multipassd.instances.records.record import IdPair, Mount, MountKind
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.errors import GuestSilent
from multipassd.mounts import guest_commands
from multipassd.mounts.client import MountFailed, MountServers, SourceRefused
from multipassd.mounts.order import Order
from multipassd.network.user_mode import UserNetworking
from tools import records
from tools.sandbox import Sandbox

READY = "ready 1000 1000\n/home/ubuntu\n/home/ubuntu/data\n"


class Servers(MountServers):
    """Starts nothing; what runs ends when `died` is set."""

    def __init__(self) -> None:
        super().__init__(Path("/no/such"), Path("/no/such/key"))
        self.runs: dict[str, Order] = {}
        self.started: list[str] = []
        self.refusal: MountFailed | None = None
        self.flaps = False

    async def start(self, order: Order, key_name: str = "") -> None:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        self.started.append(order.target)
        self.runs[order.target] = order

    async def ended(self, instance: str, target: str) -> Order | None:
        if self.flaps:
            return None
        await until(lambda: target not in self.runs)
        return None

    async def serving(self, instance: str, target: str) -> Order | None:
        return self.runs.get(target)

    async def stop(self, instance: str, target: str) -> None:
        self.runs.pop(target, None)

    async def stop_others(self, instance: str, targets: set[str]) -> None:
        for target in set(self.runs) - targets:
            del self.runs[target]


class Guest:
    """Answers as told, and notes what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def execute(self, command: str, seconds: float, key: str | None = None, /) -> str:
        self.asked.append(command)
        if not self.answers:
            raise GuestSilent("foo did not answer")
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def mount(target: str = "data", **fields: object) -> Mount:
    known: dict[str, Any] = {"source": "/srv", "target": target, "uid": 7, "gid": 8}
    return Mount(**(known | fields))


class Case:
    def __init__(self, sandbox: Sandbox, *mounts: Mount) -> None:
        known = records.registry(sandbox)
        record = records.make("foo", ssh_port=2222, mounts=mounts)
        self.stored = StoredRecord(record, known)
        cards = NetworkCards(self.stored, UserNetworking(set))
        self.servers = Servers()
        self.mounts = ClassicMounts(self.stored, cards, self.servers)
        self.warnings: list[str] = []

    async def answers(self, guest: Guest) -> None:
        await self.mounts.after_answer(guest.execute, self.warnings.append)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE", "INSTALL_PAUSE"):
        monkeypatch.setattr(classic_mounts, name, 0.0)


def run(story: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(limited())


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - all that is waited for runs in this loop
        await asyncio.sleep(0)


def test_a_mount_comes_back_whenever_its_server_ends_until_it_is_stopped(sandbox: Sandbox) -> None:
    case = Case(sandbox, mount())

    async def story() -> None:
        await case.answers(Guest(READY))
        for count in (2, 3):
            case.servers.runs.clear()
            await until(lambda: len(case.servers.started) == count)  # noqa: B023
        await case.mounts.stop(mount())
        assert not case.servers.runs
        await asyncio.sleep(0.01)
        assert len(case.servers.started) == 3

    run(story())
    assert case.servers.started == ["data"] * 3 and not case.warnings


def test_a_mount_that_never_lasts_and_one_that_fails_for_ever_fill_no_log(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("multipassd"), "propagate", True)
    caplog.set_level(logging.INFO)
    case = Case(sandbox, mount())
    case.servers.flaps = True
    guest = Guest(READY)

    async def story() -> None:
        await case.answers(guest)
        await until(lambda: len(case.servers.started) > 20)
        assert len(caplog.records) == MOST_LINES
        case.servers.refusal = MountFailed("no")
        asked = len(guest.asked)
        await until(lambda: len(guest.asked) > asked + 20)
        case.mounts.close()

    run(story())
    assert len(caplog.records) == MOST_LINES


def test_a_guest_that_can_not_mount_yet_is_told_of_once_and_tried_again(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("multipassd"), "propagate", True)
    caplog.set_level(logging.INFO)
    case = Case(sandbox, mount())
    case.servers.refusal = MountFailed("fuse: no such device")

    async def story() -> None:
        guest = Guest(READY)
        await case.answers(guest)
        await until(lambda: len(guest.asked) > 20)
        case.servers.refusal = None
        await until(lambda: bool(case.servers.runs))
        case.mounts.close()

    run(story())
    assert case.warnings == ["\"data\" is not mounted in 'foo' yet: fuse: no such device"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_only_a_refused_source_drops_a_mount_and_only_its_own(sandbox: Sandbox) -> None:
    native = mount("n", kind=MountKind.NATIVE)
    case = Case(sandbox, native, mount())
    case.servers.refusal = SourceRefused('"/srv" does not exist')
    run(case.answers(Guest(READY)))
    assert case.stored.record.mounts == (native,)
    assert case.warnings == ['Removing mount "data" from \'foo\': "/srv" does not exist']


def test_what_lies_within_another_mount_is_mounted_after_it(sandbox: Sandbox) -> None:
    case = Case(sandbox, mount("/a/b/c"), mount("/a/b"), mount("/ab"), mount("/a"))
    run(case.answers(Guest(READY)))
    assert case.servers.started == ["/ab", "/a", "/a/b", "/a/b/c"]


def test_sshfs_is_installed_for_a_mount_that_is_asked_for_and_not_while_a_client_starts(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classic_mounts, "FIRST_PAUSE", 60.0)
    case = Case(sandbox, mount("100%s"))
    told: list[str] = []

    async def story() -> None:
        guest = Guest("missing\n")
        await case.answers(guest)
        case.mounts.close()
        assert guest_commands.INSTALL not in guest.asked
        with pytest.raises(NoSupport) as caught:
            await case.mounts.serve(mount("other"), told.append)
        assert guest.asked.count(guest_commands.INSTALL) == 1 and told == [INSTALLING]
        assert caught.value.message == (
            "Error enabling mount support in 'foo'\n\n"
            "Please install the 'multipass-sshfs' snap manually inside the instance."
        )
        guest.answers = ["missing\n", "", READY]
        await case.mounts.serve(mount("other"), told.append)
        case.mounts.close()

    run(story())
    assert case.servers.started == ["other"]


def test_the_login_user_s_ids_complete_the_maps_which_stay_one_to_one(sandbox: Sandbox) -> None:
    case = Case(sandbox)
    pair = IdPair(host=9, guest=1000)

    async def story() -> None:
        await case.answers(Guest(READY))
        await case.mounts.serve(mount(), print)
        order = case.servers.runs["data"]
        assert (order.uids, order.gids) == (((7, 1000),), ((8, 1000),))
        with pytest.raises(MountFailed, match="duplicate ids:\nuids: 7:1000, 9:1000"):
            both = (IdPair(host=7, guest=-1), pair)
            await case.mounts.serve(mount("two", uids=both), print)
        case.mounts.close()

    run(story())


def test_nothing_is_mounted_before_the_guest_answers_or_after_it_ended(sandbox: Sandbox) -> None:
    case = Case(sandbox, mount())

    async def story() -> None:
        with pytest.raises(MountFailed, match="does not answer yet"):
            await case.mounts.serve(mount(), print)
        await case.answers(Guest(READY))
        await case.mounts.after_end()
        assert not case.servers.runs
        with pytest.raises(MountFailed):
            await case.mounts.serve(mount(), print)
        await case.mounts.after_pause(Guest(READY).execute)
        assert len(case.servers.started) == 1

    run(story())
