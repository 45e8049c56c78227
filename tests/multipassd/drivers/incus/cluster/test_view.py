"""Which parts of the service hear of which change on the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from multipassd.drivers.incus.cluster.entry import (
    CONTAINER,
    ERROR,
    FROZEN,
    RUNNING,
    STOPPED,
    Entry,
)
from multipassd.drivers.incus.cluster.view import View

UP = {"m1": "Online", "m2": "Online"}
DOWN = {"m1": "Online", "m2": "Offline"}


def entry(name: str, status: str = RUNNING, **fields: Any) -> Entry:
    known: dict[str, Any] = {
        "kind": CONTAINER, "location": "m2", "daemon": "ours", "stateful": False, "unused": False,
        "addresses": ("10.0.0.2",), "cards": (), "cpus": "1", "memory": "1",
    }  # fmt: skip
    return Entry(name, status, **(known | fields))


class Follower:
    """Of one machine: what it heard."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def saw(self, entry: Entry | None) -> None:
        self.heard.append(entry.status if entry else None)

    def turned(self) -> None:
        self.heard.append("turned")

    def rebooted(self) -> None:
        self.heard.append("rebooted")


@pytest.fixture
def view() -> View:
    made = View()
    made.usable = lambda each: each.daemon == "ours" or not each.known
    return made


@pytest.fixture
def calls(view: View) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    view.on_change = lambda name: found.append(("changed", name))
    view.on_unused = lambda name: found.append(("unused", name))
    return found


@pytest.fixture
def follower(view: View) -> Follower:
    made = view.followers["foo"] = Follower()
    return made


def test_a_follower_hears_of_its_machine_alone_and_once_for_each_change(
    view: View, follower: Follower, calls: list[tuple[str, str]]
) -> None:
    view.listed_all([entry("foo")], UP)
    assert follower.heard == [RUNNING, "turned"]
    for _ in range(2):
        view.put(entry("foo"))
        view.put(entry("bar", STOPPED))
        view.rebooted("bar")
    assert follower.heard[2:] == []
    view.put(entry("foo", FROZEN))
    view.rebooted("foo")
    view.remove("foo")
    view.remove("foo")
    assert follower.heard[2:] == [FROZEN, "rebooted", None] and not calls


def test_of_a_machine_without_follower_starts_and_removals_are_told(
    view: View, calls: list[tuple[str, str]]
) -> None:
    view.listed_all([entry("foo", STOPPED)], UP)
    assert not calls
    view.put(entry("foo", RUNNING))
    view.put(entry("foo", RUNNING, addresses=()))
    assert calls == [("changed", "foo")]
    view.put(entry("foo", STOPPED))
    view.remove("foo")
    assert calls == [("changed", "foo")] * 2


def test_one_that_was_never_started_is_told_when_it_is_first_seen(
    view: View, calls: list[tuple[str, str]]
) -> None:
    new = entry("foo", STOPPED, unused=True)
    view.put(new)
    view.put(new._replace(cpus="2"))
    view.put(entry("other", STOPPED, unused=True, daemon="theirs"))
    assert [each for each in calls if each[0] == "unused"] == [("unused", "foo")]


def test_a_listing_tells_what_went_and_came_while_the_cluster_was_not_reached(
    view: View, follower: Follower, calls: list[tuple[str, str]]
) -> None:
    view.listed_all([entry("foo"), entry("bar")], UP)
    view.lost("no route")
    follower.heard.clear()
    calls.clear()
    view.listed_all([entry("new")], UP)
    assert follower.heard == [None, "turned"]
    assert sorted(calls) == [("changed", "bar"), ("changed", "new")]


def test_another_ones_instance_of_its_name_is_the_end_of_a_machine(
    view: View, follower: Follower
) -> None:
    view.listed_all([entry("foo")], UP)
    view.put(entry("foo", daemon="theirs"))
    assert follower.heard[-1] is None and view.get("foo") is None


def test_followers_hear_when_members_or_the_cluster_go_and_come_back(
    view: View, follower: Follower
) -> None:
    view.listed_all([entry("foo")], UP)
    follower.heard.clear()
    view.listed_all([entry("foo")], UP)
    assert follower.heard == []
    for members in (DOWN, UP, None, UP):
        if members is None:
            view.lost("no route")
        else:
            view.listed_all([entry("foo")], members)
        assert follower.heard.pop() == "turned" and not follower.heard
    view.lost("no route")
    view.lost("another reason")
    assert follower.heard == ["turned"] and view.unreachable == "another reason"


def test_a_follower_that_goes_when_it_hears_costs_no_others(view: View) -> None:
    class Going(Follower):
        def turned(self) -> None:
            del view.followers["foo"]

    view.followers = {"foo": Going(), "zoo": (last := Follower())}
    view.listed_all([], UP)
    assert last.heard == ["turned"]


def test_while_its_host_is_down_a_machine_is_what_was_known_of_it(
    view: View, follower: Follower
) -> None:
    """Incus tells neither its configuration then, nor whose it is."""
    view.listed_all([entry("foo", record="{}")], UP)
    unknown = entry("foo", ERROR, daemon="", cpus="", record="", addresses=(), known=False)
    view.listed_all([unknown], DOWN)
    assert follower.heard[-2:] == [ERROR, "turned"]
    found = view.get("foo")
    assert found == entry("foo", ERROR, record="{}", addresses=())
    assert view.trouble("foo") == "its host m2 is offline"
    elsewhere = unknown._replace(location="m1")  # not the one that was known
    view.listed_all([elsewhere], DOWN)
    assert view.entries["foo"] == elsewhere


TROUBLES = {
    "nothing known": (None, UP, ""),
    "runs": (entry("foo"), UP, ""),
    "stopped": (entry("foo", STOPPED), UP, ""),
    "host down": (entry("foo"), DOWN, "its host m2 is offline"),
    "host evacuated": (entry("foo"), {"m2": "Evacuated"}, "its host m2 is evacuated"),
    "host not listed": (entry("foo"), {"m1": "Online"}, ""),
    "in error": (entry("foo", ERROR), UP, "in error; its host m2 may be down"),
    "no cluster": (entry("foo", ERROR, location=""), {}, "its host the server may be down"),
    "paused": (entry("foo", FROZEN), UP, "it is paused: `incus resume` lets it go on"),
    "another's": (entry("foo", FROZEN, daemon="theirs"), UP, ""),
}


@pytest.mark.parametrize(("found", "members", "text"), TROUBLES.values(), ids=TROUBLES)
def test_why_a_machine_can_not_be_reached(
    view: View, found: Entry | None, members: dict[str, str], text: str
) -> None:
    view.listed_all([found] if found else [], members)
    assert view.trouble("foo").endswith(text) and bool(view.trouble("foo")) == bool(text)
    view.lost("no route")
    assert view.trouble("foo") == "the Incus cluster is not reached: no route"


def test_one_host_that_is_down_is_told_in_the_singular(view: View) -> None:
    view.listed_all([], DOWN)
    (text,) = view.troubles()
    assert text.startswith("A host that is not online: m2 (Offline). `incus cluster list`")
