"""The trial of KVM starts a process, which must end with the trial."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from multipassd.drivers.qemu.driver import QemuDriver
from tests import waiting

pytestmark = pytest.mark.usefixtures("qemu")


class Runner:
    opens_service_taps = False
    """Its processes come to be in a thread, which no cancelling stops."""

    user = "root"

    def __init__(self, place: Path) -> None:
        self._place = place
        self.began, self.go_on = threading.Event(), threading.Event()
        self.there: list[str] = []
        self.cleared = 0

    def runtime(self, name: str) -> Path:
        return self._place / name

    async def start(self, name: str, command: Sequence[str], place: Path) -> None:
        await asyncio.to_thread(self._spawn, name)

    def _spawn(self, name: str) -> None:
        self.began.set()
        self.go_on.wait(waiting.PATIENCE)
        self.there.append(name)

    def names(self) -> list[str]:
        return self.there

    async def alive(self, name: str) -> bool:
        return False

    async def last_output(self, name: str) -> str:
        return ""

    def advice(self, name: str) -> str:
        return ""

    async def clear(self, name: str) -> None:
        self.there = [each for each in self.there if each != name]
        self.cleared += 1


def test_whoever_hangs_up_during_the_trial_leaves_no_process(tmp_path: Path) -> None:
    async def story() -> None:
        runner = Runner(tmp_path)
        driver = QemuDriver(runner, tmp_path / "machines", "")
        first = asyncio.create_task(driver.ready())
        await asyncio.to_thread(runner.began.wait, waiting.PATIENCE)
        first.cancel()
        await asyncio.wait({first})
        runner.go_on.set()
        await asyncio.to_thread(waiting.until, lambda: runner.cleared > 0)
        await driver.ready()  # it is known by now
        assert runner.there == [] and runner.cleared == 1

    asyncio.run(story())
