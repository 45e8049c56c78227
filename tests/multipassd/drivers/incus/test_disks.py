"""Disks of machines on the cluster: snapshots, copies, growth, and where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multipassd.drivers.incus.api.errors import NotFound
from multipassd.drivers.incus.cluster import owner_tag
from multipassd.drivers.interface import DriverError, Link, SnapshotMissing
from tests.multipassd.drivers.incus.driven import SECOND, SEED, SIZE, changes, driven
from tests.multipassd.drivers.incus.fake_incus import run


def test_a_snapshot_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            machine = await site.make("foo")
            await site.driver.take_snapshot(machine, "s1")
            await site.driver.restore_snapshot(machine, "s1")
            assert await site.driver.snapshot_size(machine, "s1") == 1 << 20
            site.fake.requests.clear()
            for call in (site.driver.restore_snapshot, site.driver.snapshot_size):
                with pytest.raises(SnapshotMissing, match="foo has no snapshot s2"):
                    await call(machine, "s2")
            await site.driver.drop_snapshot(machine, "s1")
            await site.driver.drop_snapshot(machine, "s1")
            assert {each.split()[0] for each in changes(site)} == {"DELETE"}
            await site.driver.remove("foo")
            await site.driver.drop_snapshot(machine, "s1")

    run(story)


def test_a_disk_grows_and_keeps_what_else_is_said_of_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            machine = await site.make("foo")
            await site.driver.grow(machine, 2 * SIZE)
            assert site.shown("foo")["devices"]["root"] == {
                "type": "disk", "path": "/", "pool": "default", "size": str(2 * SIZE),
            }  # fmt: skip
            assert "eth0" in site.shown("foo")["devices"]

    run(story)


def test_a_copy_is_this_services_own_and_can_be_given_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            source = await site.make("foo", hardware={"type": "container"})
            await site.driver.write_seed(source, SEED)
            site.shown("foo")["config"][owner_tag.RECORD] = "{}"
            clone = site.machine("bar", links=(Link(SECOND),))
            await asyncio.to_thread((clone.directory / "seed.iso").write_bytes,
                                    (source.directory / "seed.iso").read_bytes())  # fmt: skip
            await site.driver.clone(source, clone, (), lambda _: None)
            config = site.shown("bar")["config"]
            assert config.items() >= owner_tag.tags(site.daemon, "bar").items()
            assert not config.get(owner_tag.RECORD) and not site.view.entries["bar"].unused
            assert site.shown("bar")["devices"]["eth0"]["hwaddr"] == SECOND

    run(story)


def test_a_move_is_of_what_is_elsewhere(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path, members=2) as site:
            machine = await site.make("foo", target="m1")
            site.fake.requests.clear()
            await site.driver.move(machine, "m1")
            assert changes(site) == []
            await site.driver.move(machine, "m2")
            assert site.driver.place("foo") == "m2"

    run(story)


def test_what_another_program_has_removed_or_renamed_is_told_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            machine = await site.make("foo")
            found = site.fake.instances.get("foo")
            await site.fake.instances.rename(found, "mine")
            calls: tuple[Callable[[], Any], ...] = (
                lambda: site.driver.start(machine),
                lambda: site.driver.take_snapshot(machine, "s1"),
            )
            for call in calls:
                with pytest.raises(DriverError, match="another program has removed it. `multipass"):
                    await call()
            assert "removed it" in site.driver.fate("foo")
            await site.driver.remove("mine")  # it has its own name no more
            await site.driver.remove("foo")
            assert site.fake.instances.get("mine") is found
            with pytest.raises(NotFound):
                await site.api.get("/1.0/instances/foo")

    run(story)
