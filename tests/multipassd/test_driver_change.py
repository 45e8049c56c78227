"""A change of the driver: what runs for the former one ends, and each has its own records."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from multipassd import backend, driver_choice
from multipassd.drivers import machine_files
from multipassd.drivers.backend import Backend
from multipassd.drivers.interface import DriverError
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.instances import leftovers
from multipassd.instances.records.registry import Registry
from multipassd.settings.settings import Settings
from tests.waiting import PATIENCE
from tools.records import make


class Elsewhere(QemuDriver):
    """A driver whose machines are not here. `left`: names that it was to remove."""

    outlives_host = True

    def __init__(self, place: Path) -> None:
        super().__init__(DetachedRunner(place / "run"), place / "machines", "tcg")
        self.opened, self.left = 0, list[str]()

    def open(self, *_: object) -> None:
        self.opened += 1

    def close(self) -> None:
        self.opened = 0

    async def clear(self, name: str) -> None:
        self.left.append(name)

    async def remove(self, name: str) -> None:
        raise DriverError("it is not reached")


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Elsewhere]:
    """The drivers that there are."""

    async def power_down(*_: object) -> None:
        return

    made = {name: Elsewhere(tmp_path / name) for name in ("qemu", "incus")}
    backends = {
        name: lambda found=found: Backend(lambda around: found, power_down)
        for name, found in made.items()
    }
    monkeypatch.setattr(driver_choice, "DRIVERS", backends)
    return made


def machines_of(path: Path) -> tuple[backend.Machines, Settings]:
    settings = Settings(path / "multipassd.conf")
    return backend.Machines({"MULTIPASS_STORAGE": str(path)}, path, settings), settings


def recorded(path: Path, driver: str, name: str, number: int) -> Registry:
    registry = Registry(path / machine_files.RECORDS[driver], path / machine_files.MACHINES[driver])
    registry.make_place(name)
    registry.put(make(name, number))
    return registry


def test_each_driver_has_records_of_its_own_and_they_come_with_it(
    tmp_path: Path, two: dict[str, Elsewhere]
) -> None:
    recorded(tmp_path, "qemu", "here", 1)
    recorded(tmp_path, "incus", "there", 2)

    async def story() -> None:
        machines, settings = machines_of(tmp_path)
        for driver, name in (("qemu", "here"), ("incus", "there"), ("qemu", "here")):
            settings.set("local.driver", driver)
            machines.check_driver(driver)
            await machines.take_driver()
            assert machines.instances.taken() == {name}
            assert machines.driver is two[driver] and machines.launcher._instances.get(name)
            opened = {key for key, each in two.items() if each.opened}
            assert opened == {driver}, "the former one is closed"
        machines.close()
        assert not any(each.opened for each in two.values())

    asyncio.run(story())


def test_a_driver_is_not_changed_while_an_instance_is_in_the_making(
    tmp_path: Path, two: dict[str, Elsewhere]
) -> None:
    async def story() -> None:
        machines, settings = machines_of(tmp_path)
        machines.instances.preparing["foo"] = "bob"
        machines.check_driver("qemu")  # it is that already
        with pytest.raises(driver_choice.DriverBusy, match="`multipass stop --all` stops them"):
            machines.check_driver("incus")
        settings.set("local.driver", "incus")  # a line that was edited
        former = machines.instances
        await machines.take_driver()
        assert machines.instances is former and machines.driver is two["qemu"]
        del former.preparing["foo"]
        await machines.take_driver()
        assert machines.instances is not former and machines.driver is two["incus"]

    asyncio.run(story())


def test_what_is_left_of_one_driver_is_not_asked_of_the_next(
    tmp_path: Path, two: dict[str, Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have a machine of the same name, which would be ended."""
    monkeypatch.setattr(leftovers, "AGAIN_SECONDS", 0.01)
    left = Registry(tmp_path / machine_files.RECORDS["incus"],
                    tmp_path / machine_files.MACHINES["incus"])  # fmt: skip
    left.make_place("foo")

    async def story() -> None:
        machines, settings = machines_of(tmp_path)
        settings.set("local.driver", "incus")
        await machines.instances.resume()
        async with asyncio.timeout(PATIENCE):
            while not two["incus"].left:  # noqa: ASYNC110 - it is seen by asking alone
                await asyncio.sleep(0.01)
        settings.set("local.driver", "qemu")
        await machines.take_driver()
        tried = len(two["incus"].left)
        await asyncio.sleep(0.05)
        assert not two["qemu"].left and len(two["incus"].left) == tried
        assert left.place("foo").exists(), "that driver removes it when it is chosen again"

    asyncio.run(story())


def test_no_image_is_pruned_while_the_records_of_a_driver_are_damaged(tmp_path: Path) -> None:
    registry = recorded(tmp_path, "incus", "there", 2)
    for path in (tmp_path / machine_files.RECORDS["incus"]).glob("*"):
        path.write_bytes(b"{")
    for path in registry.place("there").iterdir():
        path.unlink()
    image = tmp_path / "images" / ("a" * 64)
    image.mkdir(parents=True)
    (image / "image.json").touch()
    os.utime(image / "image.json", (0, 0))
    machines, _ = machines_of(tmp_path)
    machines.registry.load()
    asyncio.run(machines.prune_images())
    assert image.exists()
