from pathlib import Path

import pytest

from multipassd.drivers.interface import Link, Machine
from multipassd.drivers.qemu import command_line
from multipassd.drivers.qemu.command_line import Process
from multipassd.drivers.qemu.hardware import QemuHardware

HARDWARE = QemuHardware("pc-i440fx-7.2", "max,la57=off", "bios")
MAC = "52:54:00:00:00:01"


def machine(directory: str = "/m/foo", *links: Link, firmware: str = "bios") -> Machine:
    hardware = QemuHardware(HARDWARE.machine, HARDWARE.cpu, firmware).kept()
    return Machine("foo", Path(directory), 2, 160 << 20, hardware, links)


def words(machine: Machine, runtime: str = "/r/foo", **fields: object) -> list[str]:
    process = Process(**{"runtime": Path(runtime), "accelerator": "tcg", **fields})  # type: ignore[arg-type]
    return command_line.command(machine, process)


def after(option: str, line: list[str]) -> list[str]:
    return [line[number + 1] for number, word in enumerate(line) if word == option]


def test_the_hardware_is_what_was_kept() -> None:
    line = words(machine())
    assert after("-machine", line) == ["pc-i440fx-7.2"]
    assert after("-cpu", line) == ["max,la57=off"]
    assert (after("-smp", line), after("-m", line)) == (["2"], ["160M"])


def test_nothing_comes_with_it_that_was_not_asked_for() -> None:
    line = words(machine())
    assert {"-nodefaults", "-no-user-config"} <= set(line)
    assert "spawn=deny" in after("-sandbox", line)[0]
    assert after("-netdev", line) == []


def test_what_a_guest_prints_is_kept_in_a_ring_in_memory_and_in_no_file() -> None:
    line = words(machine())
    (console,) = (word for word in after("-chardev", line) if "console" in word)
    assert console == f"ringbuf,id=console,size={64 << 10}"
    assert after("-serial", line) == ["chardev:console"]


def test_emulation_keeps_its_cache_small_and_kvm_has_none() -> None:
    assert "tb-size" in after("-accel", words(machine()))[0]
    assert after("-accel", words(machine(), accelerator="kvm")) == ["kvm"]


@pytest.mark.parametrize("place", ["/a,b/foo", "/a,,b/foo", "/a b/foo"])
def test_a_comma_in_a_path_ends_no_option(place: str) -> None:
    line = words(machine(place), place)
    escaped = place.replace(",", ",,")
    disk, seed = after("-blockdev", line)
    assert f"file.filename={escaped}/disk.qcow2" in disk
    assert f"file.filename={escaped}/seed.iso" in seed and "read-only=on" in seed
    assert f"path={escaped}/qmp,server=on" in after("-chardev", line)[0]


def test_each_card_has_its_backend() -> None:
    line = words(machine("/m", Link(MAC, ssh_port=2222), Link("52:54:00:00:00:02", tap="mp0")))
    user, tap = after("-netdev", line)
    assert user == "user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22"
    assert tap == "tap,id=net1,ifname=mp0,script=no,downscript=no"
    assert f"virtio-net-pci,netdev=net0,mac={MAC}" in after("-device", line)


def test_a_suspended_state_is_loaded_without_going_on() -> None:
    assert "-S" not in words(machine())
    line = words(machine(), resume=True)
    assert "-S" in line  # the monitor loads it


def test_uefi_has_its_variables_and_bios_no_flash() -> None:
    assert "pflash" not in " ".join(words(machine()))
    assert "uefi.qcow2" in " ".join(words(machine(firmware="uefi")))
