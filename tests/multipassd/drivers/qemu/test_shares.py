"""The command line of a machine with directories of the host. Pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from multipassd.drivers.interface import Machine, Share
from multipassd.drivers.qemu import command_line
from multipassd.drivers.qemu.command_line import Process
from multipassd.drivers.qemu.hardware import QemuHardware

PROCESS = Process(Path("/run/x"), "tcg")


def machine(firmware: str) -> Machine:
    hardware = QemuHardware("pc-i440fx-7.2", "max", firmware).kept()
    return Machine("foo", Path("/m/foo"), 1, 256 << 20, hardware, ())


def test_without_shares_nothing_of_its_memory_is_shared() -> None:
    words = command_line.command(machine("bios"), PROCESS)
    assert not any("memfd" in word or "memory-backend" in word for word in words)


def test_each_share_is_a_device_whose_server_reads_the_machines_memory() -> None:
    shares = (Share("multipass-1", Path("/m/foo/a,b")), Share("multipass-2", Path("/m/foo/c")))
    for firmware in ("bios", "uefi"):
        words = command_line.command(replace(machine(firmware), shares=shares), PROCESS)
        board = words[words.index("-machine") + 1]
        assert board.startswith("pc-i440fx-7.2,") and board.endswith(",memory-backend=memory")
        assert ("pflash0" in board) == (firmware == "uefi")
        assert "memory-backend-memfd,id=memory,size=256M,share=on" in words
        assert words[words.index("-m") + 1] == "256M"
        assert "socket,id=fs0,path=/m/foo/a,,b" in words
        for number, share in enumerate(shares):
            device = f"vhost-user-fs-pci,chardev=fs{number},tag={share.tag},queue-size=1024"
            assert device in words
