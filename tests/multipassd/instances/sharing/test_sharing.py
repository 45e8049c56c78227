"""Instances that services share are the same at each of them, and stay whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.drivers import machine_files
from multipassd.drivers.interface import DriverError
from multipassd.drivers.shared_machines import SERVICE, Offer
from multipassd.instances.collection import Instances
from multipassd.instances.records.record import Record, record_of
from multipassd.instances.sharing import shared_record, sharing
from multipassd.instances.sharing.sharing import SEEN, Sharing
from multipassd.network.user_mode import UserNetworking
from tests.multipassd.instances.site import Parts
from tests.multipassd.instances.test_overlaps import Driver
from tests.waiting import PATIENCE
from tools import records
from tools.sandbox import Sandbox

OURS, THEIRS = "ours", "theirs"


class Board:
    """What is published on the cluster: a `SharedMachines`. `down`: the names of machines whose
    hosts are down; `hidden`: of those, what is not even known."""

    def __init__(self) -> None:
        self.shown: dict[str, tuple[str, bytes]] = {}
        self.wanted = self.reached = True
        self.down: set[str] = set()
        self.hidden: set[str] = set()
        self.published_here: list[str] = []

    def enabled(self) -> bool:
        return self.wanted

    def offers(self) -> Mapping[str, Offer] | None:
        if not self.reached:
            return None
        found = {name: Offer(*each) for name, each in self.shown.items()
                 if each[0] != OURS and each[1]}  # fmt: skip
        return found | {name: Offer("", b"") for name in self.hidden}

    def published(self, name: str, service: str) -> bytes | None:
        if not self.reached or name in self.hidden or name not in self.shown:
            return None
        maker, text = self.shown[name]
        return text if maker == (service or OURS) else None

    async def publish(self, name: str, text: bytes) -> None:
        if name in self.down:
            raise DriverError(f"{name} is on a host that is down")
        self.published_here.append(name)
        self.shown[name] = self.shown[name][0], text

    async def seed_of(self, name: str) -> Mapping[str, bytes]:
        return {"meta-data": b"{}\n", "user-data": b"", "network-config": b""}

    async def let_in(self, name: str, user: str, line: str) -> None:
        raise DriverError("it is off")

    def record(self, name: str) -> Record:
        return record_of(self.shown[name][1])


class Site:
    """A service with instances of its own, by their names."""

    def __init__(self, sandbox: Sandbox, board: Board, *own: str) -> None:
        sandbox.data.mkdir(parents=True, exist_ok=True)
        self.registry = records.registry(sandbox)
        for number, name in enumerate(own):
            self.registry.make_place(name)
            self.registry.put(records.make(name, number + 1, owner="bob", ssh_key="secret"))
            board.shown[name] = OURS, b""
        self.instances = Instances(self.registry, Parts(Driver(), UserNetworking(set)))
        self.instances.load()
        self.sharing = Sharing(self.instances, board, SshAuthority(sandbox.data))

    async def look(self) -> None:
        self.sharing._not_before = 0.0
        self.sharing.look()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self.sharing._tasks._running)

    def cpus(self, name: str) -> int:
        return self.instances.get(name).record.cpus


@pytest.fixture
def board() -> Board:
    return Board()


def offered(name: str = "far", number: int = 9, **fields: Any) -> tuple[str, bytes]:
    return THEIRS, shared_record.shared(records.make(name, number, **fields))


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE):
            await work()

    asyncio.run(bounded())


def test_what_changes_here_is_published_once_and_without_what_is_of_this_service(
    sandbox: Sandbox, board: Board
) -> None:
    async def story() -> None:
        site = Site(sandbox, board, "foo")
        for _ in range(2):
            await site.look()
        assert board.published_here == ["foo"]
        assert b"secret" not in board.shown["foo"][1] and board.record("foo").owner == "bob"
        site.instances.get("foo").change(cpus=2)
        await site.look()
        assert board.record("foo").cpus == 2 and len(board.published_here) == 2

    run(story)


def test_what_changes_there_is_taken_over_and_of_two_changes_this_ones_goes_first(
    sandbox: Sandbox, board: Board
) -> None:
    async def story() -> None:
        site = Site(sandbox, board, "foo")
        await site.look()
        board.shown["foo"] = OURS, board.record("foo").replace(cpus=4).to_json()
        await site.look()
        assert site.cpus("foo") == 4 and site.instances.get("foo").record.ssh_key == "secret"
        assert board.published_here == ["foo"]
        board.shown["foo"] = OURS, board.record("foo").replace(cpus=8).to_json()
        site.instances.get("foo").change(cpus=2)
        await site.look()
        assert site.cpus("foo") == board.record("foo").cpus == 2

    run(story)


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff", b"x" * (shared_record.MAX_TEXT + 1)])
def test_what_is_no_record_is_replaced_by_what_is_known_here(
    sandbox: Sandbox, board: Board, text: bytes
) -> None:
    async def story() -> None:
        site = Site(sandbox, board, "foo")
        await site.look()
        board.shown["foo"] = OURS, text
        board.shown["far"] = THEIRS, text
        await site.look()
        assert board.record("foo").cpus == 1 and site.instances.taken() == {"foo"}

    run(story)


def test_a_service_that_was_off_knows_which_side_has_changed(
    sandbox: Sandbox, board: Board
) -> None:
    async def story() -> None:
        await Site(sandbox, board, "foo").look()
        board.shown["foo"] = OURS, board.record("foo").replace(cpus=4).to_json()
        later = Site(sandbox, board)
        await later.look()
        assert later.cpus("foo") == 4
        later.instances.get("foo").change(cpus=3)
        last = Site(sandbox, board)
        await last.look()
        assert board.record("foo").cpus == 3

    run(story)


def test_an_instance_of_another_service_comes_and_goes_with_its_offer(
    sandbox: Sandbox, board: Board
) -> None:
    async def story() -> None:
        site = Site(sandbox, board)
        board.shown["far"] = offered(owner="carol")
        await site.look()
        far = site.instances.get("far")
        assert (far.record.service, far.record.owner) == (THEIRS, "carol")
        place = site.registry.place("far")
        assert (place / machine_files.SEED).stat().st_size and (place / SEEN).exists()
        far.change(cpus=2)
        await site.look()
        assert board.record("far").cpus == 2 and SERVICE not in board.record("far").hardware
        async with far._lock:
            board.shown["far"] = THEIRS, b""
            await site.look()
            assert "far" in site.instances.taken(), "a command is at it"
        await site.look()
        assert not site.instances.taken() and not place.exists()
        assert "far" not in {each.name for each in Site(sandbox, board).instances.sound()}

    run(story)


def test_it_stays_while_its_host_or_the_cluster_is_not_reached(
    sandbox: Sandbox, board: Board
) -> None:
    async def story() -> None:
        site = Site(sandbox, board, "foo")
        board.shown["far"] = offered()
        await site.look()
        board.hidden = {"far", "foo", "never-seen"}
        del board.shown["far"]
        await site.look()
        board.hidden, board.reached = set(), False
        await site.look()
        assert site.instances.taken() == {"foo", "far"}

    run(story)


def test_a_name_that_has_gone_to_another_service_is_not_mixed_up(
    sandbox: Sandbox, board: Board
) -> None:
    async def story() -> None:
        site = Site(sandbox, board, "foo")
        board.shown["far"] = offered()
        await site.look()
        board.published_here.clear()
        board.shown["foo"] = offered("foo", cpus=7)
        board.shown["far"] = "a third one", offered()[1]
        site.instances.get("foo").change(cpus=2)
        await site.look()
        assert site.instances.taken() == {"foo"} and site.cpus("foo") == 2
        await site.look()
        assert site.instances.get("far").record.service == "a third one"
        assert not board.published_here and board.record("foo").cpus == 7

    run(story)


def test_what_is_not_adopted(
    sandbox: Sandbox, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "MOST", 3)

    async def story() -> None:
        site = Site(sandbox, board, "foo")
        site.registry.make_place("traces")
        for name in ("../up", "-x", "a b", "x\x1b", "traces"):
            board.shown[name] = offered("ok")
        board.shown["other-name"] = offered("ok")
        board.shown["same-card"] = offered("same-card", 1)
        await site.look()
        assert site.instances.taken() == {"foo"}
        board.shown = {f"far{number}": offered(f"far{number}", 9 + number) for number in range(9)}
        await site.look()
        assert len(site.instances.taken()) == 3

    run(story)


def test_one_that_can_not_be_published_keeps_no_other_from_it(
    sandbox: Sandbox, board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        site = Site(sandbox, board, "bar", "foo")
        board.down = {"bar"}
        board.shown["far"] = offered()
        await site.look()
        assert board.published_here == ["foo"] and "far" in site.instances.taken()
        assert "bar is on a host that is down" in caplog.text
        site.sharing.look()
        assert not site.sharing._tasks._running, "it is tried again later"
        board.wanted = False
        await site.look()
        assert board.shown["foo"] == (OURS, b"") and site.instances.taken() == {"bar", "foo"}
        board.down = set()
        await site.look()
        site.sharing.look()
        assert not site.sharing._tasks._running, "nothing is left of it"

    run(story)


def test_what_is_closed_does_nothing_any_more(sandbox: Sandbox, board: Board) -> None:
    async def story() -> None:
        site = Site(sandbox, board, "foo")
        site.sharing.look()
        site.sharing.close()
        await asyncio.gather(*site.sharing._tasks._running, return_exceptions=True)
        assert not board.published_here

    run(story)
