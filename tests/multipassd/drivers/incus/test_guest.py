"""A machine that runs on the cluster ends when the cluster says so, and stands still until then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from multipassd.drivers.incus import guest as incus_guest
from multipassd.drivers.incus.api.errors import IncusError
from multipassd.drivers.incus.guest import CONSOLE_KEPT, HOST_DOWN, REMOVED, IncusGuest
from multipassd.drivers.interface import DriverError
from tests.multipassd.drivers.incus.driven import OTHERS, Driven, driven, until
from tests.multipassd.drivers.incus.fake_incus import Fault, run

STATE = "PUT /1.0/instances/foo/state"
STOP = {"action": "stop"}


async def started(site: Driven, **fields: str) -> IncusGuest:
    return await site.driver.start(await site.make("foo", **fields))


async def by_hand(site: Driven, action: str) -> None:
    """What another program does to it."""
    held = site.fake.instances
    await held.change_state(held.get("foo"), {"action": action})


def test_it_ends_well_by_any_stop(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            guest = await started(site)
            await by_hand(site, "stop")
            assert await guest.ended() == ""
            await guest.kill()
            machine = site.machine("foo")
            guest = await site.driver.start(machine)
            await guest.power_down()
            assert await guest.ended() == ""
            guest = await site.driver.start(machine)
            await guest.kill()
            assert await guest.ended() == "" and not site.view.followers

    run(story)


def test_it_ends_when_another_program_removes_or_replaces_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            guest = await started(site)
            held = site.fake.instances
            await held.change_state(held.get("foo"), STOP)
            del held._all["foo"]  # before its event is looked at
            await site.strange("foo", daemon=OTHERS, name="foo")
            assert await guest.ended() == REMOVED
            site.fake.requests.clear()
            await guest.kill()
            await guest.suspend()
            assert STATE not in site.fake.requests, "it is another one's by now"

    run(story)


def test_it_says_that_its_host_went_down_under_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path, members=2) as site:
            guest = await started(site, target="m2")
            went_on: list[bool] = []
            guest.goes_on = lambda: went_on.append(True)
            await site.fake.kill("m2")
            await until(lambda: guest.stalled == "its host m2 is offline")
            assert not guest.stood_still
            ending = asyncio.create_task(guest.ended())
            with pytest.raises(DriverError, match="its host m2 is offline"):
                await guest.power_down()
            with pytest.raises(IncusError):
                await guest.kill()
            assert not ending.done()
            site.fake.instances.get("foo").set(("Stopped", 102))
            await site.fake.boot("m2")
            assert await ending == HOST_DOWN and not went_on

    run(story)


def test_it_goes_on_when_the_cluster_is_reached_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            guest = await started(site)
            went_on = asyncio.Event()
            guest.goes_on = went_on.set
            await site.fake.kill("m1")
            await until(lambda: guest.stalled)
            assert "not reached" in guest.stalled and not went_on.is_set()
            for call in (guest.kill, guest.power_down):
                with pytest.raises(DriverError):
                    await call()
            assert await guest.console() == ""
            await site.fake.boot("m1")
            await went_on.wait()
            assert guest.stood_still and not guest.stalled
            await guest.kill()
            assert await guest.ended() == ""

    run(story)


def test_a_pause_by_another_program_is_no_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            guest = await started(site)
            await by_hand(site, "freeze")
            await until(lambda: "it is paused" in guest.stalled)
            await by_hand(site, "unfreeze")
            await until(lambda: guest.stood_still)
            assert not guest.stalled
            rebooted = asyncio.Event()
            guest.reboots = rebooted.set
            await by_hand(site, "restart")
            await rebooted.wait()

    run(story)


def test_one_that_ends_while_it_is_killed_is_no_failure(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            guest = await started(site)

            async def first() -> None:
                await by_hand(site, "stop")

            site.fake.faults.append(Fault(STATE, before=first))
            await guest.kill()
            assert await guest.ended() == ""

    run(story)


def test_a_power_button_that_fails_is_pressed_again_when_asked(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            guest = await started(site)
            site.fake.faults.append(Fault(STATE, "Failed to shut down"))
            site.fake.requests.clear()
            await guest.power_down()
            assert guest._stopping is not None
            await guest._stopping
            await guest.power_down()
            assert await guest.ended() == ""
            assert site.fake.requests.count(STATE) == 2

    run(story)


def test_the_end_of_the_console_is_shown(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            guest = await started(site)
            found = site.fake.instances.get("foo")
            found.log = b"x" * 10_000 + b"login: \xff"
            text = await guest.console()
            assert text.endswith("login: \ufffd") and len(text) == CONSOLE_KEPT
            found.log = b"x" * (incus_guest.CONSOLE_BYTES + 1)
            assert await guest.console() == ""

    run(story)


def test_one_that_is_let_go_of_runs_on_unfollowed(tmp_path: Path) -> None:
    async def story() -> None:
        async with driven(tmp_path) as site:
            guest = await started(site)
            other = await site.driver.start(site.machine("foo"))
            guest.close()
            assert site.view.followers == {"foo": other}
            other.close()
            assert not site.view.followers and site.shown("foo")["status"] == "Running"

    run(story)
