"""The driver is chosen in one place, by the setting `local.driver`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from multipassd import backend
from multipassd.drivers.backend import Backend
from multipassd.drivers.interface import DriverError, Machine
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.hardware import QemuHardware
from multipassd.settings import values
from multipassd.settings.settings import Settings


def test_every_driver_that_can_be_set_can_be_made() -> None:
    assert backend.DRIVERS.keys() == values.DRIVERS


def test_the_setting_names_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = QemuDriver(DetachedRunner(tmp_path / "run"), tmp_path / "machines", "tcg")

    async def power_down(*_: object) -> None:
        return

    another = Backend(lambda around: other, power_down)
    drivers = {**backend.DRIVERS, "other": lambda: another}
    monkeypatch.setattr(backend, "DRIVERS", drivers)
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
