"""The view of the cluster follows it: by events, by listings, and also after odd answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from multipassd.drivers.incus.cluster import watch
from tests.multipassd.drivers.incus import fake_server
from tests.multipassd.drivers.incus.driven import Driven, driven, until
from tests.multipassd.drivers.incus.fake_incus import Fault, run

ONE = "GET /1.0/instances/foo"
LISTING = "GET /1.0/instances"
MEMBERS = "GET /1.0/cluster/members"


def status(site: Driven, name: str = "foo") -> str:
    entry = site.view.entries.get(name)
    return entry.status if entry is not None else ""


def test_what_happens_by_another_program_is_seen_by_events(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            found = await site.strange("foo")
            await until(lambda: status(site) == "Running")
            assert site.view.entries["foo"].addresses == ()  # of cards that it has not
            await site.fake.instances.change_state(found, {"action": "stop"})
            await until(lambda: status(site) == "Stopped")
            await site.fake.instances.rename(found, "bar")
            await until(lambda: status(site, "bar") == "Stopped" and not status(site))
            await site.fake.instances.remove(found)
            await until(lambda: not site.view.entries)

    run(story)


def test_many_events_of_one_instance_are_few_looks_at_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            found = await site.strange("foo", runs=False)
            await until(lambda: status(site))
            may_go, begun = asyncio.Event(), asyncio.Event()

            async def hold() -> None:
                begun.set()
                await may_go.wait()

            site.fake.faults.append(Fault(f"{ONE}$", before=hold))
            site.fake.requests.clear()
            site.fake.instances.patch(found, {})
            await begun.wait()
            for _ in range(50):
                site.fake.instances.patch(found, {})
            found.shown["config"]["limits.cpu"] = "7"
            await site.strange("last", runs=False)  # its event comes after those
            await until(lambda: status(site, "last"))
            may_go.set()
            await until(lambda: site.view.entries["foo"].cpus == "7")
            await until(lambda: not site.looking)
            assert site.fake.requests.count(ONE) == 2

    run(story)


def test_an_address_that_comes_later_is_looked_for_until_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            await site.make("foo")
            found = site.fake.instances.get("foo")
            state, there = found.state, False
            shown = lambda *_: {**state(), **({} if there else {"network": None})}  # noqa: E731
            monkeypatch.setattr(found, "state", shown)
            found.shown["config"]["volatile.eth0.hwaddr"] = "52:54:00:00:00:01"
            await site.fake.instances.change_state(found, {"action": "start"})
            await until(lambda: status(site) == "Running")
            site.fake.requests.clear()
            await until(lambda: site.fake.requests.count(ONE) >= 3)
            assert site.view.entries["foo"].addresses == ()
            there = True
            await until(lambda: site.view.entries["foo"].addresses)
            await until(lambda: not site.looking)

    run(story)


def test_after_the_event_connection_broke_all_is_listed_anew(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            gone = await site.strange("gone", runs=False)
            await until(lambda: status(site, "gone"))
            await site.fake.kill("m1")
            await until(lambda: site.view.unreachable)
            assert status(site, "gone") and site.view.listed
            await site.fake.instances.remove(gone)
            await site.strange("new", runs=False)
            await site.fake.boot("m1")
            await until(lambda: not site.view.unreachable)
            assert set(site.view.entries) == {"new"}

    run(story)


def test_a_member_that_goes_is_noticed_without_an_event(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path, members=2) as site:
            assert site.view.members == {"m1": "Online", "m2": "Online"}
            first = site.api.addresses[0]
            other = next(each for each in site.fake.members if each.address != first)
            await site.fake.kill(other.name)
            await until(lambda: site.view.members[other.name] == "Offline")
            assert not site.view.unreachable
            await site.fake.boot(other.name)
            await until(lambda: site.view.members[other.name] == "Online")

    run(story)


def test_members_that_can_not_be_asked_for_are_a_cluster_that_is_lost(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path, members=2) as site:
            fault = Fault(MEMBERS, "no", times=1000)
            site.fake.faults.append(fault)
            await until(lambda: site.view.unreachable)
            assert "list the members" in site.view.unreachable
            fault.times = 0
            await until(lambda: not site.view.unreachable)

    run(story)


def test_that_all_members_are_offline_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new leader says so for some seconds of all, itself among them."""
    member_of = fake_server._member

    async def story() -> None:
        async with driven(tmp_path, members=2) as site:
            offline = lambda *each: {**member_of(*each), "status": "Offline"}  # noqa: E731
            monkeypatch.setattr(fake_server, "_member", offline)
            await until(lambda: site.view.unreachable)
            assert "said to be offline" in site.view.unreachable
            assert set(site.view.members.values()) == {"Online"}
            monkeypatch.setattr(fake_server, "_member", member_of)
            await until(lambda: not site.view.unreachable)

    run(story)


GARBAGE: list[Any] = [None, {}, "x", 7, {"x": []}]


@pytest.mark.parametrize("answer", GARBAGE)
def test_a_listing_that_is_none_removes_nothing_and_is_asked_for_again(
    tmp_path: Path, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            await site.make("foo")
            await until(lambda: status(site))
            held = site.fake.instances
            monkeypatch.setattr(held, "list", lambda recursion: answer)
            await site.fake.kill("m1")
            await site.fake.boot("m1")
            await until(lambda: "no list" in site.view.unreachable)
            assert status(site) and ("changed", "foo") not in site.seen
            monkeypatch.undo()
            await until(lambda: not site.view.unreachable)

    run(story)


@pytest.mark.parametrize("item", [None, 7, "x", [], {}, {"name": 7}, {"name": "\ud800"}])
def test_a_listing_with_an_item_that_is_no_instance_is_not_believed(
    tmp_path: Path, item: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which one it is would not be known, and it would count as removed."""

    async def story() -> None:
        async with driven(tmp_path) as site:
            await site.strange("foo", runs=False)
            await until(lambda: status(site))
            held, all_of = site.fake.instances, site.fake.instances.list
            monkeypatch.setattr(held, "list", lambda recursion: [*all_of(recursion), item])
            await site.fake.kill("m1")
            await site.fake.boot("m1")
            await until(lambda: "can't be used" in site.view.unreachable)
            assert status(site)

    run(story)


def test_an_error_that_nothing_foresaw_does_not_end_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:

            def fails(_: Any) -> None:
                raise RuntimeError

            with monkeypatch.context() as patched:
                patched.setattr(watch, "entry_of", fails)
                await site.strange("foo", runs=False)
                await until(lambda: ONE in site.fake.requests)
                await site.fake.kill("m1")
                await site.fake.boot("m1")
                await until(lambda: "could not be read" in site.view.unreachable)
            await until(lambda: not site.view.unreachable)
            assert status(site) == "Stopped"
            found = site.fake.instances.get("foo")
            site.fake.instances.patch(found, {"config": {"limits.cpu": "3"}})
            await until(lambda: site.view.entries["foo"].cpus == "3")

    run(story)
