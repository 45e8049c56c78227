"""What is another program's or another service's on the cluster is never changed."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from multipassd.drivers.incus.cluster import owner_tag
from multipassd.drivers.interface import DriverError, Machine
from multipassd.drivers.shared_machines import SERVICE
from tests.multipassd.drivers.incus.driven import OTHERS, SIZE, Driven, driven, until
from tests.multipassd.drivers.incus.fake_incus import run
from tests.multipassd.drivers.incus.fake_operations import Failure

Call = Callable[[Driven, Machine], Awaitable[object]]
OF_OTHERS = {
    "another program's": {},
    "another service's": {"daemon": OTHERS, "name": "foo"},
    "a shared one's": {"daemon": OTHERS, "name": "foo", "record": "{}"},
    "a copy of ours by hand": {"daemon": "ours", "name": "bar"},
    "one without its name": {"daemon": "ours"},
}
REFUSED: dict[str, Call] = {
    "start": lambda site, machine: site.driver.start(machine),
    "grow": lambda site, machine: site.driver.grow(machine, 2 * SIZE),
    "snapshot": lambda site, machine: site.driver.take_snapshot(machine, "s1"),
    "restore": lambda site, machine: site.driver.restore_snapshot(machine, "s1"),
    "drop": lambda site, machine: site.driver.drop_snapshot(machine, "s1"),
    "move": lambda site, machine: site.driver.move(machine, "m2"),
    "clone": lambda site, machine: site.driver.clone(
        machine, site.machine("new"), (), lambda _: None
    ),
    "seed": lambda site, machine: site.driver._push_seed(machine),
}
NOTHING: dict[str, Call] = {
    "find": lambda site, machine: site.driver.find(machine),
    "clear": lambda site, machine: site.driver.clear(machine.name),
    "remove": lambda site, machine: site.driver.remove(machine.name),
    "remove_unused": lambda site, machine: site.driver.remove_unused(machine.name),
}


@pytest.mark.parametrize("tags", OF_OTHERS.values(), ids=OF_OTHERS)
@pytest.mark.parametrize("shared", ["false", "true"])
def test_no_command_changes_what_took_the_name_of_an_instance(
    tmp_path: Path, tags: dict[str, str], shared: str
) -> None:
    async def story() -> None:
        async with driven(tmp_path, members=2, shared=shared) as site:
            ours: dict[str, Any] = {
                key: site.daemon if each == "ours" else each for key, each in tags.items()
            }
            found = await site.strange("foo", **ours)
            found.snapshots["s1"] = {"name": "s1"}
            found.shown["last_used_at"] = "1970-01-01T00:00:00Z"
            await until(lambda: "foo" in site.view.entries)
            before = copy.deepcopy((found.shown, found.files, found.snapshots))
            site.fake.requests.clear()
            machine = site.machine("foo")
            for name, call in REFUSED.items():
                with pytest.raises(DriverError, match="is left alone"):
                    await call(site, machine)
                    raise AssertionError(name)
            for name, call in NOTHING.items():
                if name != "find" or shared == "false" or "record" not in tags:
                    assert await call(site, machine) is None, name
            assert "foo already" in await site.driver.stranger("foo")
            assert {each.split()[0] for each in site.fake.requests} == {"GET"}
            assert (found.shown, found.files, found.snapshots) == before

    run(story)


def test_a_shared_machine_is_used_as_its_services_and_removed_by_that_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path, shared="true") as site:
            await site.strange("foo", runs=False, daemon=OTHERS, name="foo", record="{}")
            adopted = site.machine("foo", hardware={"type": "container", SERVICE: OTHERS})
            await site.driver.take_snapshot(adopted, "s1")
            guest = await site.driver.start(adopted)
            await guest.kill()
            await site.driver.remove("foo")
            assert "s1" in site.fake.instances.get("foo").snapshots
            site.settings["local.incus.shared"] = "false"
            with pytest.raises(DriverError, match="is left alone"):
                await site.driver.start(adopted)

    run(story)


def test_what_a_launch_left_is_removed_until_its_first_start(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            await site.make("left")
            used = await site.make("used")
            await (await site.driver.start(used)).kill()
            await site.strange("theirs", runs=False, daemon=OTHERS, name="theirs", new="true")
            for name in ("left", "used", "theirs", "none"):
                await site.driver.remove_unused(name)
            assert set(site.fake.instances._all) == {"used", "theirs"}
            assert await site.driver.stranger("used")  # on no record, and it may hold something
            with pytest.raises(Failure):
                site.shown("left")

    run(story)


def test_nothing_is_published_of_anothers_instance(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path, shared="true") as site:
            await site.make("mine")
            await site.strange("theirs", daemon=OTHERS, name="theirs", record="{}")
            await site.strange("plain")
            await until(lambda: "plain" in site.view.entries)
            sharing = site.driver.sharing
            assert sharing.published("mine", "") == b""
            assert sharing.published("theirs", OTHERS) == b"{}"
            for name, service in (("theirs", ""), ("plain", ""), ("mine", OTHERS), ("no", "")):
                assert sharing.published(name, service) is None
            offers = sharing.offers()
            assert (
                offers is not None and offers["theirs"].text == b"{}" and set(offers) == {"theirs"}
            )
            await sharing.publish("mine", b'{"a": 1}')
            assert site.shown("mine")["config"][owner_tag.RECORD] == '{"a": 1}'
            assert sharing.published("mine", "") == b'{"a": 1}'
            await site.fake.kill("m1")
            await until(lambda: site.view.unreachable)
            assert sharing.offers() is None and sharing.published("mine", "") is None

    run(story)
