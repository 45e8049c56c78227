"""Disks that QEMU's user may have written anything to, worked on with the daemon's rights."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from multipassd.drivers.interface import DriverError
from multipassd.drivers.qemu import disks

MIB = 1 << 20

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.raw"
    path.write_bytes(bytes(MIB))
    return path


@pytest.fixture
def disk(tmp_path: Path, base: Path) -> Path:
    path = tmp_path / "disk.qcow2"
    asyncio.run(disks.create(path, base, "raw", 4 * MIB))
    return path


def size(path: Path) -> int:
    said = subprocess.run(
        ["qemu-img", "info", "--output=json", path], capture_output=True, check=True
    ).stdout
    return int(json.loads(said)["virtual-size"])


def test_a_disk_grows_and_its_base_stays_as_it_is(disk: Path, base: Path) -> None:
    asyncio.run(disks.grow(disk, 8 * MIB))
    assert size(disk) == 8 * MIB
    assert base.read_bytes() == bytes(MIB)


def test_a_snapshot_is_dropped(disk: Path) -> None:
    subprocess.run(["qemu-img", "snapshot", "-c", "one", disk], check=True)
    asyncio.run(disks.drop_snapshot(disk, "one"))
    said = subprocess.run(["qemu-img", "snapshot", "-l", disk], capture_output=True, check=True)
    assert b"one" not in said.stdout


def test_a_link_in_a_disks_place_is_not_followed(disk: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.qcow2"
    disk.rename(elsewhere)
    disk.symlink_to(elsewhere)
    with pytest.raises(DriverError, match="can't be used"):
        asyncio.run(disks.grow(disk, 8 * MIB))
    assert size(elsewhere) == 4 * MIB


def test_a_disk_whose_header_names_another_file_for_its_data_is_left_alone(tmp_path: Path) -> None:
    secret = tmp_path / "root's"
    path = tmp_path / "disk.qcow2"
    options = f"data_file={secret},data_file_raw=on"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path, "1M"], check=True
    )
    before = secret.read_bytes()
    with pytest.raises(DriverError, match="another file"):
        asyncio.run(disks.grow(path, 8 * MIB))
    assert secret.read_bytes() == before


def test_a_disk_whose_header_names_another_backing_file_grows_without_reading_it(
    disk: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "no such file"
    subprocess.run(["qemu-img", "rebase", "-u", "-F", "raw", "-b", gone, disk], check=True)
    asyncio.run(disks.grow(disk, 8 * MIB))  # opening it would fail
