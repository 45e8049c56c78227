"""Machines as the driver makes, changes and starts them on the cluster."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from multipassd.drivers.incus import driver as incus_driver
from multipassd.drivers.incus.api.errors import Lost, TookTooLong
from multipassd.drivers.incus.cluster import owner_tag
from multipassd.drivers.incus.cluster.entry import VIRTUAL_MACHINE
from multipassd.drivers.incus.requests import SEED_PLACE
from multipassd.drivers.interface import DriverError, Link
from tests.multipassd.drivers.incus.driven import (
    MAC,
    MEMORY,
    SECOND,
    SEED,
    SIZE,
    driven,
    service,
    until,
)
from tests.multipassd.drivers.incus.fake_incus import Fault, run
from tests.multipassd.drivers.incus.fake_operations import Failure


def test_a_container_has_its_tags_limits_and_devices(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path, members=2) as site:
            bridge = {"name": "br0", "type": "bridge", "managed": False}
            site.fake.resources.networks["br0"] = bridge
            links = (Link(MAC), Link(SECOND, network="br0"))
            machine = await site.make("foo", links=links, cpus=3, target="m2")
            shown = site.shown("foo")
            assert (shown["location"], shown["type"], shown["profiles"]) == ("m2", "container", [])
            tags = owner_tag.tags(site.daemon, "foo")
            limits = {"limits.cpu": "3", "limits.memory": str(MEMORY)}
            assert shown["config"].items() >= {**tags, **limits}.items()
            card = {"type": "nic", "name": "eth0", "hwaddr": MAC, "network": "incusbr0"}
            assert shown["devices"]["root"] == {
                "type": "disk", "path": "/", "pool": "default", "size": str(SIZE),
            }  # fmt: skip
            assert shown["devices"]["eth0"] == card
            other = shown["devices"]["eth1"]
            assert (other["nictype"], other["parent"], other["hwaddr"]) == (
                "bridged",
                "br0",
                SECOND,
            )
            assert set(shown["devices"]) == {"root", "eth0", "eth1"}
            assert site.driver.place("foo") == "m2" and machine.name in site.view.entries

    run(story)


def test_a_virtual_machine_has_a_seed_and_room_for_its_memory(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            machine = await site.make("foo", kind=VIRTUAL_MACHINE)
            shown = site.shown("foo")
            assert shown["type"] == VIRTUAL_MACHINE
            assert int(shown["devices"]["root"]["size.state"]) > MEMORY
            assert shown["devices"]["seed"]["source"] == "cloud-init:config"
            assert shown["config"]["migration.stateful"] == "true"
            assert site.driver.suspends(machine.hardware)
            assert not site.driver.suspends(site.machine("bar").hardware)

    run(story)


def test_the_settings_say_where_and_of_what(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path, members=2, target="m2", network="lan", pool="fast") as site:
            lan = {"name": "lan", "type": "physical", "managed": True}
            site.fake.resources.networks["lan"] = lan
            with pytest.raises(DriverError, match="no storage pool fast; local.incus.pool"):
                await site.driver.ready()
            site.settings["local.incus.pool"] = ""
            await site.driver.ready()
            await site.make("foo")
            assert site.shown("foo")["location"] == "m2"
            assert site.shown("foo")["devices"]["eth0"]["network"] == "lan"
            await site.make("bar", target="m1")
            assert site.shown("bar")["location"] == "m1"

    run(story)


def test_what_no_machine_could_be_made_with_is_told_before(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path, members=2) as site:
            await site.driver.ready()
            site.settings["local.incus.type"] = VIRTUAL_MACHINE
            with pytest.raises(DriverError, match="could not be reached, as .*type=container"):
                await site.driver.ready()
            site.settings["local.incus.network"] = "lan"
            with pytest.raises(DriverError, match="no network lan, which local.incus.n"):
                await site.driver.ready()
            with pytest.raises(DriverError, match="no host m9. `multipass list --location`"):
                await site.driver.check_place("m9")
            await site.fake.kill("m2")
            await until(lambda: site.view.members.get("m2") == "Offline")
            with pytest.raises(DriverError, match="host m2 of the Incus cluster is offline"):
                await site.driver.check_place("m2")
            await site.driver.check_place("m1")

    run(story)


def test_a_name_that_is_taken_names_the_other_one_and_leaves_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            before = dict((await site.strange("foo")).shown)
            with pytest.raises(DriverError, match="foo already, which this service has not made"):
                await site.make("foo")
            assert "which this service has not made" in await site.driver.stranger("foo")
            await site.driver.remove("foo")
            assert site.shown("foo") == before
            assert await site.driver.stranger("bar") == ""

    run(story)


def test_what_was_made_although_the_answer_was_lost_is_removed(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            await site.driver.prepare(site.base(), lambda _: None)

            async def forget() -> None:
                site.fake.operations._all.clear()

            site.fake.faults.append(Fault("/wait", before=forget))
            with pytest.raises(Lost):
                await site.make("foo")
            assert site.shown("foo")["status"] == "Stopped"
            await until(lambda: ("unused", "foo") in site.seen)
            await site.fake.kill("m1")
            await until(lambda: site.view.unreachable)
            with pytest.raises(DriverError, match="is not reached"):  # so its directory stays
                await site.driver.remove("foo")
            await site.fake.boot("m1")
            await until(lambda: not site.view.unreachable)
            await site.driver.remove("foo")
            with pytest.raises(Failure):
                site.shown("foo")
            await site.driver.remove("foo")

    run(story)


def test_a_seed_is_there_before_the_first_start(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            container = await site.make("foo")
            await site.driver.write_seed(container, SEED)
            files = site.fake.instances.get("foo").files
            file = files[f"{SEED_PLACE}/user-data"]
            assert (file.mode, b"a: 1" in file.data) == (0o600, True)
            machine = await site.make("bar", kind=VIRTUAL_MACHINE)
            await site.driver.write_seed(machine, SEED)
            assert "a: 1" in site.shown("bar")["config"]["cloud-init.user-data"]

    run(story)


# -- starting -------------------------------------------------------------------------------------


def test_a_start_changes_what_differs_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            machine = await site.make("foo")
            bodies: list[dict[str, Any]] = []
            patch = site.fake.instances.patch

            def noted(found: Any, body: dict[str, Any]) -> None:
                bodies.append(body)
                patch(found, body)

            monkeypatch.setattr(site.fake.instances, "patch", noted)

            async def once(wanted: Any) -> tuple[set[str], set[str]]:
                """The keys of the configuration and the devices that its start changes."""
                bodies.clear()
                guest = await site.driver.start(wanted)
                await guest.kill()
                config = {key for body in bodies for key in body.get("config", {})}
                return (config - {owner_tag.NEW}, {key for body in bodies
                                                   for key in body.get("devices", {})})  # fmt: skip

            limits = {"limits.cpu", "limits.memory"}
            await once(machine)
            assert await once(machine) == (set(), set()) and not bodies
            more = replace(machine, cpus=2)
            assert await once(more) == (limits, set())
            both = replace(more, links=(Link(MAC), Link(SECOND)))
            assert await once(both) == (set(), {"eth1"})
            assert await once(both) == (set(), set()) and not bodies
            assert site.shown("foo")["config"]["limits.cpu"] == "2"

    run(story)


def test_a_saved_state_is_resumed_once_or_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            machine = await site.make("foo", kind=VIRTUAL_MACHINE)
            starts: list[bool] = []
            change = site.fake.instances.change_state

            async def noted(found: Any, body: dict[str, Any]) -> None:
                if body["action"] == "start":
                    starts.append(body["stateful"])
                    found.shown["stateful"] = False
                await change(found, body)

            monkeypatch.setattr(site.fake.instances, "change_state", noted)
            for forgets in (False, True):
                guest = await site.driver.start(machine)
                assert not await site.driver.suspended(machine)
                await guest.suspend()
                assert await guest.ended() == ""
                assert await site.driver.suspended(machine)
                if forgets:
                    await site.driver.forget_suspended(machine)
                    assert not await site.driver.suspended(machine)
            guest = await site.driver.start(machine)
            assert starts == [False, True, False]
            await guest.suspend()
            assert await site.driver.suspended(machine)  # the mark was of the former one

    run(story)


def test_an_operation_that_never_ends_costs_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incus_driver, "START_SECONDS", 0.1)

    async def story() -> None:
        async with driven(tmp_path) as site:
            machine = await site.make("foo")
            never = asyncio.Event()

            async def hang(*_: Any) -> None:
                await never.wait()

            monkeypatch.setattr(site.fake.instances, "change_state", hang)
            with pytest.raises(TookTooLong, match="start the instance foo.*incus operation list"):
                await site.driver.start(machine)
            never.set()

    run(story)


def test_a_guest_that_runs_is_found_again_and_one_on_a_host_that_is_down_is_not_lost(
    tmp_path: Path,
) -> None:
    """Of what is there Incus does not even tell whose it is."""

    async def story() -> None:
        async with driven(tmp_path, members=2) as site:
            machine = await site.make("foo", target="m2")
            assert await site.driver.find(machine) is None
            guest = await site.driver.start(machine)
            guest.close()
            assert await site.driver.find(machine) is not None
            await site.fake.kill("m2")
            async with service(site.fake, tmp_path) as later:
                with pytest.raises(DriverError, match="can't be reached: its host m2 is offline"):
                    await later.driver.find(machine)
                assert later.driver.fate("foo") == ""
                with pytest.raises(DriverError):
                    await later.driver.check_removal("foo")
                with pytest.raises(DriverError):
                    await later.driver.remove("foo")
                await later.driver.clear("foo")
                await site.fake.boot("m2")
                await until(lambda: later.view.entries["foo"].status == "Running")
                assert await later.driver.find(machine) is not None

    run(story)
