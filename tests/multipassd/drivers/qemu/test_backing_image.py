"""An instance whose image was cleared by hand, or whose storage moved: told before QEMU starts."""

import asyncio
import shutil
from pathlib import Path

import pytest

from multipassd.drivers.interface import DriverError, Machine
from multipassd.drivers.qemu import backing_image, disks
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.hardware import QemuHardware

MIB = 1 << 20
ID = "0123456789abcdef" * 4

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Of an instance in the storage `tmp_path`, with its image beside it."""
    image = tmp_path / "images" / ID / "disk.img"
    image.parent.mkdir(parents=True)
    image.write_bytes(bytes(MIB))
    path = tmp_path / "machines/foo/disk.qcow2"
    path.parent.mkdir(parents=True)
    asyncio.run(disks.create(path, image, "raw", 4 * MIB))
    return path


def told(disk: Path, storage: Path) -> str:
    with pytest.raises(DriverError) as caught:
        backing_image.check("foo", disk, storage)
    return caught.value.message


def test_an_image_that_is_there_is_no_matter(disk: Path, tmp_path: Path) -> None:
    backing_image.check("foo", disk, tmp_path)


def test_an_image_that_was_cleared_by_hand_is_named_with_what_brings_it_back(
    disk: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "images")
    said = told(disk, tmp_path)
    image = tmp_path / "images" / ID / "disk.img"
    assert said.startswith(
        f"foo: its disk holds only what differs from the image {image}, and that is gone. Put the "
        "very file back from a backup."
    )
    assert f"`multipass launch {ID[:12]}` fetches it again" in said


def test_a_start_says_so_and_starts_no_qemu(disk: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "images")
    runner = DetachedRunner(tmp_path / "run")
    driver = QemuDriver(runner, tmp_path / "machines", "tcg")
    hardware = QemuHardware("pc", "max,la57=off", "bios").kept()
    with pytest.raises(DriverError, match="that is gone"):
        asyncio.run(driver.start(Machine("foo", disk.parent, 1, 64 * MIB, hardware, ())))
    assert list(runner.names()) == []


def test_a_storage_that_was_moved_is_told_with_the_line_that_mends_it(
    disk: Path, tmp_path: Path
) -> None:
    there = tmp_path / "new"
    there.mkdir()
    for name in ("images", "machines"):
        (tmp_path / name).rename(there / name)
    moved = there / "machines/foo/disk.qcow2"
    image = there / "images" / ID / "disk.img"
    assert f"which is at {image} now" in (said := told(moved, there))
    assert f"`qemu-img rebase -u -F FORMAT -b {image} {moved}`" in said


@pytest.mark.parametrize("name", ["/etc/shadow", "/nowhere/images/x", "/nowhere/disk.img", ""])
def test_what_a_disk_s_header_says_of_other_files_is_not_looked_into(
    disk: Path, tmp_path: Path, name: str
) -> None:
    with disk.open("r+b") as file:
        header = bytearray(file.read(64))
        file.seek(int.from_bytes(header[8:16], "big"))
        file.write(name.encode())
        file.seek(16)
        file.write(len(name).to_bytes(4, "big"))
    backing_image.check("foo", disk, tmp_path)


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"\xff" * 4096])
def test_a_damaged_header_is_left_to_qemu(tmp_path: Path, content: bytes) -> None:
    disk = tmp_path / "disk.qcow2"
    disk.write_bytes(content)
    backing_image.check("foo", disk, tmp_path)
    backing_image.check("foo", tmp_path / "none", tmp_path)
