from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from multipassd.drivers.qemu.acceleration import reach, tcg_cpu
from multipassd.drivers.qemu.command_line import MONITOR
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.qmp import MonitorError
from tests.waiting import PATIENCE

# As QEMU does where it finds late that it can't run this machine. It takes a while to end.
GIVES_UP = """
import socket, sys, time
with socket.socket(socket.AF_UNIX) as monitor:
    monitor.bind(sys.argv[1])
    monitor.listen()
    monitor.accept()[0].close()
time.sleep(0.2)
sys.exit("no such luck")
"""


@pytest.mark.parametrize(
    ("machine", "sound"),
    [
        ("pc-i440fx-6.2", False),
        ("pc-i440fx-7.2", False),
        ("pc", False),  # unknown
        ("pc-i440fx-8.0", True),
        ("pc-i440fx-10.0", True),
    ],
)
def test_only_qemu_from_8_on_emulates_cmpxchg16b(machine: str, sound: bool) -> None:
    assert ("cx16=off" not in tcg_cpu(machine)) == sound


def test_why_it_gave_up_is_told_also_after_it_had_answered(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()

    async def fails() -> None:
        runner = DetachedRunner(tmp_path / "run")
        path = str(runner.runtime("foo") / MONITOR)
        try:
            await runner.start("foo", [sys.executable, "-c", GIVES_UP, path], place)
            await reach(runner, "foo", PATIENCE)
        finally:
            await runner.clear("foo")

    with pytest.raises(MonitorError, match="^no such luck$"):
        asyncio.run(fails())
