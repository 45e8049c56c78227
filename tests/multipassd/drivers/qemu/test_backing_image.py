"""What a start refuses before QEMU opens anything: missing files, and headers that name others."""

import asyncio
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from multipassd.drivers.interface import DriverError, Machine
from multipassd.drivers.qemu import backing_image, disks
from multipassd.drivers.qemu.detached_runner import DetachedRunner
from multipassd.drivers.qemu.driver import QemuDriver
from multipassd.drivers.qemu.hardware import QemuHardware
from multipassd.images.image import Base
from protocol.errors import StorageFailed

MIB = 1 << 20
ID = "0123456789abcdef" * 4
SECRET = "/etc/shadow"

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Of an instance in the storage `tmp_path`, with its seed, and its image beside it."""
    image = tmp_path / "images" / ID / "disk.img"
    image.parent.mkdir(parents=True)
    image.write_bytes(bytes(MIB))
    base = Base(id=ID, path=str(image), format="raw", virtual_size=MIB)
    (image.parent / "image.json").write_text(base.to_json().decode())
    path = tmp_path / "machines/foo/disk.qcow2"
    path.parent.mkdir(parents=True)
    (path.parent / "seed.iso").write_bytes(bytes(4096))
    asyncio.run(disks.create(path, image, "raw", 4 * MIB))
    return path


def machine(disk: Path, firmware: str = "bios") -> Machine:
    hardware = QemuHardware("pc", "max,la57=off", firmware).kept()
    return Machine("foo", disk.parent, 1, 64 * MIB, hardware, (), ID)


def told(tried: Machine, storage: Path) -> str:
    with pytest.raises(DriverError) as caught:
        backing_image.check(tried, storage / "images")
    return caught.value.message


def refused(tried: Machine, storage: Path, why: str) -> None:
    said = told(tried, storage)
    assert f"foo is not started: {tried.directory}/" in said
    assert why in said and "It is left alone." in said


def test_the_files_of_a_launch_are_accepted(disk: Path, tmp_path: Path) -> None:
    backing_image.check(machine(disk), tmp_path / "images")


def test_a_plain_disk_that_was_put_back_is_accepted(disk: Path, tmp_path: Path) -> None:
    for version in ("0.10", "1.1"):
        disk.unlink()
        qemu_img("create", "-f", "qcow2", "-o", f"compat={version}", disk, "4M")
        backing_image.check(machine(disk), tmp_path / "images")


@pytest.mark.parametrize("version", ["0.10", "1.1"])
@pytest.mark.parametrize("name", [SECRET, "/nowhere/x", f"/nowhere/{'1' * 64}/disk.img", "a.raw"])
def test_a_disk_that_stands_on_another_file_is_refused(
    disk: Path, tmp_path: Path, name: str, version: str
) -> None:
    disk.unlink()
    form = ("-f", "qcow2", "-o", f"compat={version}", "-F", "raw", "-u", "-b", name)
    qemu_img("create", *form, disk, "4M")
    refused(machine(disk), tmp_path, f"stands on {name}, not on its image {tmp_path}/images/{ID}/")


def test_a_start_refuses_it_and_starts_no_qemu(disk: Path, tmp_path: Path) -> None:
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", SECRET, disk)
    driver = QemuDriver(DetachedRunner(tmp_path / "run"), tmp_path / "machines", "tcg")
    with pytest.raises(DriverError, match="stands on /etc/shadow"):
        asyncio.run(driver.start(machine(disk)))
    assert list(driver.names()) == []


def test_a_file_in_place_of_the_machines_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "machines"
    path.write_text("in the way")
    driver = QemuDriver(DetachedRunner(tmp_path / "run"), path, "tcg")
    with pytest.raises(StorageFailed, match=f"Instances can't be kept in {path}: {path} can't be"):
        asyncio.run(driver.ready())


def test_an_image_that_the_record_does_not_name_is_refused(disk: Path, tmp_path: Path) -> None:
    refused(replace(machine(disk), image="1" * 64), tmp_path, "stands on")
    refused(replace(machine(disk), image=""), tmp_path, "stands on")


def test_an_image_in_another_format_than_the_kept_one_s_is_refused(
    disk: Path, tmp_path: Path
) -> None:
    image = tmp_path / "images" / ID / "disk.img"
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", image, disk)
    refused(machine(disk), tmp_path, "says that the format of its image is qcow2, and that is raw")


def test_an_image_without_a_format_is_refused(disk: Path, tmp_path: Path) -> None:
    data = bytearray(disk.read_bytes())
    at = data.index(0xE2792ACA.to_bytes(4, "big"))
    data[at : at + 4] = b"none"
    disk.write_bytes(data)
    refused(machine(disk), tmp_path, "the format of its image is unknown")


def test_data_in_another_file_is_refused(disk: Path, tmp_path: Path) -> None:
    disk.unlink()
    other = tmp_path / "other"
    form = f"data_file={other},data_file_raw=on"
    qemu_img("create", "-f", "qcow2", "-o", form, disk, "4M")
    refused(machine(disk), tmp_path, "disk.qcow2 keeps its data in another file")


def test_the_variables_of_uefi_stand_on_nothing(disk: Path, tmp_path: Path) -> None:
    variables = disk.parent / "uefi.qcow2"
    form = ("-f", "qcow2", "-F", "raw", "-u", "-b")
    qemu_img("create", *form, SECRET, variables, "4M")
    refused(machine(disk, "uefi"), tmp_path, f"uefi.qcow2 stands on {SECRET}")
    qemu_img("create", "-f", "qcow2", variables, "4M")
    backing_image.check(machine(disk, "uefi"), tmp_path / "images")


@pytest.mark.parametrize("name", ["disk.qcow2", "seed.iso"])
def test_a_symbolic_link_or_fifo_is_refused(disk: Path, tmp_path: Path, name: str) -> None:
    path = disk.with_name(name)
    path.rename(tmp_path / "kept")
    path.symlink_to(tmp_path / "kept")
    refused(machine(disk), tmp_path, f"{name} is a symbolic link")
    path.unlink()
    os.mkfifo(path)
    refused(machine(disk), tmp_path, f"{name} is no regular file")


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"\xff" * 4096, b"QFI\xfb\0\0\0\3".ljust(80)])
def test_a_damaged_header_is_refused(disk: Path, tmp_path: Path, content: bytes) -> None:
    disk.write_bytes(content)
    refused(machine(disk), tmp_path, "can't be used: it")


@pytest.mark.parametrize("name", ["foo/disk.qcow2", "foo/seed.iso", "foo", ""])
def test_a_missing_file_is_named_with_what_to_do(disk: Path, tmp_path: Path, name: str) -> None:
    lost = tmp_path / "machines" / name
    lost.rename(tmp_path / "away")
    assert told(machine(disk), tmp_path) == (
        f"foo can't be started: {lost} is missing. If it is on a file system that is not mounted, "
        "mount that; else restore it from a backup. `multipass delete --purge foo` gives up what "
        "needs it."
    )


def test_an_image_that_was_cleared_by_hand_is_named_with_what_brings_it_back(
    disk: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "images")
    said = told(machine(disk), tmp_path)
    image = tmp_path / "images" / ID / "disk.img"
    assert said.startswith(
        f"foo: its disk holds only what differs from the image {image}, and that is gone. Put the "
        "very file back from a backup."
    )
    assert f"`multipass launch {ID[:12]}` fetches it again" in said


def test_a_storage_that_was_moved_is_told_with_the_line_that_repairs_it(
    disk: Path, tmp_path: Path
) -> None:
    there = tmp_path / "new"
    there.mkdir()
    for name in ("images", "machines"):
        (tmp_path / name).rename(there / name)
    moved = there / "machines/foo/disk.qcow2"
    image = there / "images" / ID / "disk.img"
    assert f"which is at {image} now" in (said := told(machine(moved), there))
    line = f"qemu-img rebase -u -f qcow2 -F raw -b {image} {moved}"
    assert f"`{line}`" in said
    qemu_img(*line.split()[1:])
    backing_image.check(machine(moved), there / "images")
