"""The driver with a real QEMU: a guest that only counts, found again in each state that a killed
daemon left it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.drivers.interface import DriverError, Hardware, Link, Machine
from multipassd.drivers.qemu.command_line import MONITOR, disk
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.guest import suspended_mark
from multipassd.drivers.qemu.qmp import Monitor
from multipassd.images.image import Base
from tests.waiting import until

LIAR = """
import os, socket, sys
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1] + ".new")
    listener.listen()
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    while True:
        one, _ = listener.accept()
        for line in open(sys.argv[2], "rb"):  # first unasked, then one for each question
            one.sendall(line)
            one.recv(4096)
"""
ID = "0" * 64
HLT = b"\xf4" * 510 + b"\x55\xaa"


@pytest.fixture
def driver(qemu: None, tmp_path: Path) -> Iterator[QemuDriver]:
    one = QemuDriver(DetachedRunner(tmp_path / "run"), tmp_path / "machines", "tcg")
    yield one
    for name in one.names():
        asyncio.run(one.clear(name))


@pytest.fixture
def machine(driver: QemuDriver, tmp_path: Path) -> Machine:
    raw, place = tmp_path / "images" / ID / "disk.img", tmp_path / "machines/foo"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(HLT.ljust(1 << 20, b"\0"))
    place.mkdir(parents=True)
    (place / "seed.iso").write_bytes(bytes(4096))
    base = Base(id=ID, path=str(raw), format="raw", virtual_size=1 << 20)
    (raw.parent / "image.json").write_text(base.to_json().decode())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        link = Link("52:54:00:00:00:01", ssh_port=probe.getsockname()[1])

    async def make() -> Machine:
        made = Machine("foo", place, 1, 64 << 20, await driver.choose(base), (link,), ID)
        await driver.create(made, base, 64 << 20)
        return made

    return asyncio.run(make())


async def status(machine: Machine, tmp_path: Path, command: str = "query-status") -> str:
    """As an earlier daemon would; it has let go of the monitor by then."""
    monitor = await Monitor.connect(tmp_path / "run/foo" / MONITOR)
    if command != "query-status":
        await monitor.execute(command)
    found = await monitor.execute("query-status")
    monitor.close()
    return str(found["status"])


def test_the_machine_type_is_a_versioned_one(machine: Machine) -> None:
    assert machine.hardware["machine"].startswith("pc-i440fx-")
    assert machine.hardware["firmware"] == "bios"


def test_an_image_without_boot_code_is_one_for_uefi_or_refused(
    driver: QemuDriver, tmp_path: Path
) -> None:
    raw = tmp_path / "empty.raw"
    raw.write_bytes(bytes(1 << 20))
    base = Base(id="1" * 64, path=str(raw), format="raw", virtual_size=1 << 20)

    async def choose() -> Hardware:
        return await driver.choose(base)

    try:
        assert asyncio.run(choose())["firmware"] == "uefi"
    except DriverError as error:
        assert "install the package ovmf" in error.message


def test_a_guest_is_found_suspended_resumed_and_ended(
    driver: QemuDriver, machine: Machine, tmp_path: Path
) -> None:
    async def story() -> None:
        guest = await driver.start(machine)
        guest.close()
        found = await driver.find(machine)
        assert found is not None
        await found.suspend()
        assert await found.ended() == ""
        assert await driver.suspended(machine)
        assert await driver.find(machine) is None
        resumed = await driver.start(machine)
        assert not await driver.suspended(machine)
        resumed.close()
        assert await status(machine, tmp_path) == "running"
        again = await driver.find(machine)
        assert again is not None
        await again.kill()
        assert await again.ended() == ""

    asyncio.run(story())
    snapshots = subprocess.run(
        ["qemu-img", "snapshot", "-l", str(disk(machine))], capture_output=True, check=True
    )
    assert b"suspended" not in snapshots.stdout


def test_one_that_stands_still_with_the_mark_was_being_suspended(
    driver: QemuDriver, machine: Machine, tmp_path: Path
) -> None:
    async def story() -> None:
        guest = await driver.start(machine)
        guest.close()
        assert await status(machine, tmp_path, "stop") == "paused"
        suspended_mark(machine).write_bytes(b"")
        assert await driver.find(machine) is None
        assert await driver.suspended(machine)

    asyncio.run(story())


def test_one_that_stands_still_without_the_mark_goes_on(
    driver: QemuDriver, machine: Machine, tmp_path: Path
) -> None:
    async def story() -> None:
        guest = await driver.start(machine)
        guest.close()
        assert await status(machine, tmp_path, "stop") == "paused"
        found = await driver.find(machine)
        assert found is not None
        found.close()
        assert await status(machine, tmp_path) == "running"

    asyncio.run(story())


def test_a_state_that_qemu_can_t_load_is_kept(driver: QemuDriver, machine: Machine) -> None:
    suspended_mark(machine).write_bytes(b"")

    async def story() -> None:
        with pytest.raises(DriverError, match="suspended state can't be loaded.*is kept"):
            await driver.start(machine)
        assert await driver.suspended(machine)
        await driver.forget_suspended(machine)
        guest = await driver.start(machine)
        await guest.kill()
        await guest.ended()

    asyncio.run(story())


def test_one_whose_monitor_somebody_holds_runs_and_can_t_be_reached(
    driver: QemuDriver, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multipassd.drivers.qemu.driver.GREETING_SECONDS", 0.2)

    async def story() -> None:
        guest = await driver.start(machine)
        with pytest.raises(DriverError, match="foo runs, but can't be reached"):
            await driver.find(machine)
        await guest.kill()
        await guest.ended()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            b'{"QMP": {}}\n{"return": {}, "id": 1}\n'
            b'{"return": [{"inserted": {"file": "DISK"}}], "id": 2}\n'
            b'{"return": null, "id": 3}\n',
            "QEMU does not tell what its guest does",
        ),
        (
            b'{"QMP": {}}\n{"return": {}, "id": 1}\n'
            b'{"return": [null, {"inserted": 1}, {"inserted": {"file": "/other"}}], "id": 2}\n',
            "its disk is not .*: it is of another storage directory",
        ),
        (
            b'{"QMP": {}}\n{"return": {}, "id": 1}\n{"return": 3, "id": 2}\n',
            "its disk is not .*: it is of another storage directory",
        ),
        (b"[" * 100_000 + b"\n", "QEMU's monitor can't be understood"),
    ],
    ids=["no status", "another's disk", "no disks", "a deep greeting"],
)
def test_one_that_a_guest_took_over_is_one_that_can_t_be_reached(
    driver: QemuDriver, machine: Machine, tmp_path: Path, said: bytes, why: str
) -> None:
    """And no reason for a daemon not to start."""
    (tmp_path / "said").write_bytes(said.replace(b"DISK", os.fsencode(disk(machine))))
    path = tmp_path / "run/foo" / MONITOR

    async def story() -> None:
        runner = DetachedRunner(tmp_path / "run")
        liar = [sys.executable, "-c", LIAR, str(path), str(tmp_path / "said")]
        await runner.start("foo", liar, machine.directory)
        await asyncio.to_thread(until, path.exists)
        with pytest.raises(DriverError, match=f"foo runs, but can't be reached: {why}"):
            await driver.find(machine)
        await runner.clear("foo")

    asyncio.run(story())


def test_a_killed_one_tells_that_it_was_not_asked_to_end(
    driver: QemuDriver, machine: Machine
) -> None:
    async def story() -> None:
        guest = await driver.start(machine)
        await driver.clear("foo")
        assert (await guest.ended()).startswith("QEMU ended unexpectedly")

    asyncio.run(story())


def test_a_host_of_another_architecture_is_refused_before_anything_is_fetched(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(DriverError, match=r"need an x86_64 host so far, and this one is aarch64"):
        asyncio.run(driver.ready())
