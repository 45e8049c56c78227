"""The driver is chosen in one place, by the setting `local.driver`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from multipassd import backend, driver_choice
from multipassd.drivers import machine_files
from multipassd.drivers.backend import Backend
from multipassd.drivers.incus import assembly
from multipassd.drivers.incus.api.errors import NO_AIOHTTP
from multipassd.drivers.interface import DriverError, Machine
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.hardware import QemuHardware
from multipassd.instances.instance import Instance
from multipassd.instances.records.phase import Phase
from multipassd.instances.records.record import ImageOrigin
from multipassd.instances.records.registry import Registry
from multipassd.instances.states.state import State
from multipassd.settings import values
from multipassd.settings.settings import Settings
from tools import records
from tools.records import make


def test_every_driver_that_can_be_set_can_be_made() -> None:
    assert driver_choice.DRIVERS.keys() == values.DRIVERS


def test_the_setting_names_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = QemuDriver(DetachedRunner(tmp_path / "run"), tmp_path / "machines", "tcg")

    async def power_down(*_: object) -> None:
        return

    another = Backend(lambda around: other, power_down)
    drivers = {**driver_choice.DRIVERS, "other": lambda: another}
    monkeypatch.setattr(driver_choice, "DRIVERS", drivers)
    monkeypatch.setattr(values, "DRIVERS", frozenset(drivers))
    known = Settings(tmp_path / "multipassd.conf")
    environ = {"MULTIPASS_STORAGE": str(tmp_path)}
    before = backend.Machines(environ, tmp_path, known)
    assert before.driver is not other
    known.set("local.driver", "other")
    assert backend.Machines(environ, tmp_path, known).driver is other
    assert before.driver is not other, "another one takes effect at the next start"


async def _start(driver: QemuDriver, machine: Machine) -> None:
    await driver.start(machine)


def test_hardware_is_kept_as_before_and_what_lacks_a_part_is_an_error(tmp_path: Path) -> None:
    kept = QemuHardware("pc-i440fx-10.0", "host", "bios").kept()
    assert kept == {"machine": "pc-i440fx-10.0", "cpu": "host", "firmware": "bios"}
    driver = QemuDriver(DetachedRunner(tmp_path / "run"), tmp_path / "machines", "tcg")
    machine = Machine("foo", tmp_path, 1, 1 << 20, {"machine": "pc"}, ())
    with pytest.raises(DriverError, match="foo can't be started: .* lacks 'cpu'"):
        asyncio.run(_start(driver, machine))


@pytest.mark.parametrize("records", machine_files.RECORDS.values())
def test_no_image_is_pruned_that_an_instance_of_another_driver_stands_on(
    tmp_path: Path, records: str
) -> None:
    """Its disk is unusable without it, once that driver is chosen again."""
    kept, gone = "a" * 64, "b" * 64
    record = make("foo", image=ImageOrigin(id=kept))
    registry = Registry(tmp_path / records, tmp_path / records.replace("instances", "machines"))
    registry.make_place("foo")
    registry.put(record)
    for name in (kept, gone):
        place = tmp_path / "images" / name
        place.mkdir(parents=True)
        (place / "image.json").touch()
        os.utime(place / "image.json", (0, 0))
    environ = {"MULTIPASS_STORAGE": str(tmp_path)}
    machines = backend.Machines(environ, tmp_path, Settings(tmp_path / "multipassd.conf"))
    machines.registry.load()
    asyncio.run(machines.prune_images())
    assert os.listdir(tmp_path / "images") == [kept]


def test_a_driver_on_other_hosts_is_told_which_images_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Collection[str]] = []

    class Elsewhere(QemuDriver):
        async def prune_images(self, kept: Collection[str]) -> None:
            told.append(kept)

    async def power_down(*_: object) -> None:
        return

    other = Elsewhere(DetachedRunner(tmp_path / "run"), tmp_path / "machines", "tcg")
    another = Backend(lambda around: other, power_down)
    monkeypatch.setattr(
        driver_choice, "DRIVERS", {**driver_choice.DRIVERS, "incus": lambda: another}
    )
    monkeypatch.setattr(values, "DRIVERS", frozenset({"qemu", "incus"}))
    settings = Settings(tmp_path / "multipassd.conf")
    settings.set("local.driver", "incus")
    kept = tmp_path / "images" / ("a" * 64)
    kept.mkdir(parents=True)
    machines = backend.Machines({"MULTIPASS_STORAGE": str(tmp_path)}, tmp_path, settings)
    machines.registry.load()
    asyncio.run(machines.prune_images())
    assert told == [[kept.name]]


def test_a_missing_library_of_a_driver_is_a_sentence_and_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "BACKEND", replace(assembly.BACKEND, missing=lambda: NO_AIOHTTP))
    monkeypatch.setattr(assembly, "_missing", lambda: NO_AIOHTTP)
    known = Settings(tmp_path / "multipassd.conf")
    at_first = backend.Machines({"MULTIPASS_STORAGE": str(tmp_path)}, tmp_path, known)
    with pytest.raises(DriverError, match="apt install python3-aiohttp"):
        at_first.check_driver("Incus")
    known.set("local.driver", "incus")
    machines = backend.Machines({"MULTIPASS_STORAGE": str(tmp_path)}, tmp_path, known)
    machines.registry.put(records.make("foo", phase=Phase.RUNNING))

    async def story() -> None:
        await machines.instances.resume()
        foo = machines.instances.get("foo")
        assert isinstance(foo, Instance) and foo.state is State.UNKNOWN
        assert machines.driver.troubles() == [NO_AIOHTTP]
        with pytest.raises(DriverError, match="aiohttp"):
            await foo.purge()
        assert machines.registry.names() == ["foo"]
        machines.instances.close()

    asyncio.run(story())


def test_the_cluster_is_not_changed_while_instances_are_made_on_it(tmp_path: Path) -> None:
    known = Settings(tmp_path / "multipassd.conf")
    known.set("local.driver", "incus")
    machines = backend.Machines({"MULTIPASS_STORAGE": str(tmp_path)}, tmp_path, known)
    machines.check_joining()
    with machines.instances.reserved("foo"), pytest.raises(driver_choice.InTheMaking, match="foo"):
        machines.check_joining()
