"""What was broken off is removed, also where a cluster is not reached for a while."""

from __future__ import annotations

import asyncio

import pytest

from multipassd.drivers.interface import DriverError
from multipassd.instances import leftovers
from multipassd.instances.leftovers import Leftovers
from multipassd.network.user_mode import UserNetworking
from tests.multipassd.instances.site import Parts
from tests.multipassd.instances.test_overlaps import Driver
from tests.waiting import PATIENCE
from tools import records
from tools.sandbox import Sandbox


class Far(Driver):
    """Its machines are on a cluster, which is reached after `fails` attempts."""

    outlives_host = True

    def __init__(self, fails: int = 0) -> None:
        super().__init__()
        self.fails_left = fails
        self.tried: list[str] = []
        self.asked, self.gone = asyncio.Event(), asyncio.Event()

    async def remove(self, name: str) -> None:
        self.tried.append(name)
        self.asked.set()
        if self.fails_left:
            self.fails_left -= 1
            raise DriverError("The Incus cluster is not reached")
        self.gone.set()

    remove_unused = remove


def site(sandbox: Sandbox, driver: Driver) -> Leftovers:
    return Leftovers(records.registry(sandbox), Parts(driver, UserNetworking(set)))


async def _done(parts: Leftovers) -> None:
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*parts._tasks._running, return_exceptions=True)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "AGAIN_SECONDS", 0.01)


def test_a_directory_stays_until_its_machine_is_gone(sandbox: Sandbox) -> None:
    async def story() -> None:
        registry = records.registry(sandbox)
        registry.make_place("foo")
        driver = Far(fails=3)
        parts = site(sandbox, driver)
        await parts.remove_all()
        assert registry.place("foo").exists(), "the start has not waited for the cluster"
        await _done(parts)
        assert driver.tried == ["foo"] * 4 and not registry.place("foo").exists()

    asyncio.run(story())


def test_a_launch_that_failed_keeps_its_directory_while_the_cluster_is_not_reached(
    sandbox: Sandbox,
) -> None:
    async def story() -> None:
        registry = records.registry(sandbox)
        token = registry.make_place("foo")
        driver = Far(fails=1)
        parts = site(sandbox, driver)
        await parts.unmake("foo", token)
        assert registry.place("foo").exists() and registry.leftovers() == ["foo"]
        await parts.unmake("foo", token)
        assert not registry.place("foo").exists()

    asyncio.run(story())


def test_what_is_closed_asks_no_driver_any_more(sandbox: Sandbox) -> None:
    """Another one may be chosen then, whose machine of that name is none of these."""

    async def story() -> None:
        records.registry(sandbox).make_place("foo")
        driver = Far(fails=1_000_000)
        parts = site(sandbox, driver)
        await parts.remove_all()
        await driver.asked.wait()
        parts.close()
        await _done(parts)
        tried = len(driver.tried)
        await asyncio.sleep(0.05)
        assert len(driver.tried) == tried and records.registry(sandbox).place("foo").exists()

    asyncio.run(story())


def test_a_machine_on_no_record_that_was_never_started_is_removed_in_the_background(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        driver = Far(fails=1)
        parts = site(sandbox, driver)
        for _ in range(2):
            parts.remove_unused("foo")
            await _done(parts)
        assert driver.gone.is_set() and "left over of foo stays for now" in caplog.text

    asyncio.run(story())
