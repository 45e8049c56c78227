"""A disk that boots Linux, from a directory: partition table, GRUB, an ext4 root partition.

Nothing is mounted. The programs come from a Debian root with PACKAGES, which also holds the
directory; all of it lies below `work` there.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools import roots

PACKAGES = (
    "dosfstools", "e2fsprogs", "grub-efi-amd64-bin", "grub-pc-bin", "mtools", "qemu-utils",
)  # fmt: skip
LABEL = "root"  # of the root partition, which GRUB finds it by
WORK = "work"
SECTOR = 512
FIRST_SECTOR = 2048  # the gap before it holds GRUB's core
ESP_SIZE = 8 << 20  # bytes; the EFI partition holds one program
# Entries of the partition table: flag, then type between two addresses that nothing reads.
LINUX, ESP = b"\x80\xfe\xff\xff\x83\xfe\xff\xff", b"\x00\xfe\xff\xff\xef\xfe\xff\xff"
TABLE = 446  # where it begins in the master boot record
MODULES = ("boot", "ext2", "linux", "part_msdos", "search_label")

Firmware = Literal["bios", "uefi"]


@dataclass(frozen=True)
class System:
    """The system to boot; paths are relative to its root."""

    tree: Path  # the directory
    kernel: str
    initrd: str
    options: str  # of the kernel's command line
    size: int  # bytes of the root partition


def write(root: Path, system: System, image: Path, firmware: Firmware) -> None:
    """Write the disk as compressed qcow2: for UEFI without any code that a BIOS could boot.
    The root partition is the table's first and the disk's last, so it can grow.
    Raises RootError."""
    work = root / WORK
    tree = "/" / system.tree.relative_to(root)
    run(root, f"truncate -s {system.size} /{WORK}/partition")
    run(root, f"mke2fs -q -t ext4 -L {LABEL} -d {tree} -E root_owner=0:0 /{WORK}/partition")
    (work / "grub.cfg").write_text(
        f"search.fs_label {LABEL} root\n"
        f"linux {system.kernel} {system.options}\n"
        f"initrd {system.initrd}\n"
        "boot\n"
    )
    with open(work / "disk", "wb") as disk, open(work / "partition", "rb") as partition:
        start = FIRST_SECTOR * SECTOR
        if firmware == "bios":
            disk.write(_bios_loader(root, system.size))
        else:
            esp = _efi_partition(root)
            disk.write(_record(b"", (LINUX, start + len(esp), system.size), (ESP, start, len(esp))))
            disk.seek(start)
            disk.write(esp)
            start += len(esp)
        disk.seek(start)
        shutil.copyfileobj(partition, disk)
    run(root, f"qemu-img convert -c -f raw -O qcow2 /{WORK}/disk /{WORK}/disk.qcow2")
    shutil.copyfile(work / "disk.qcow2", image)


def run(root: Path, command: str) -> str:
    """The output of a shell command in the root. Raises RootError."""
    done: subprocess.CompletedProcess[str] = roots.run_in(root, "sh", "-c", command)
    if done.returncode != 0:
        raise roots.RootError(f"{command}: {done.stdout[-500:].strip()}")
    return done.stdout


def _bios_loader(root: Path, size: int) -> bytes:
    """Master boot record and GRUB's core behind it."""
    core = bytearray(_core(root, "i386-pc", "biosdisk"))
    core += bytes(-len(core) % SECTOR)
    # Its first sector loads the rest: from sector 2 on, so many, to this segment.
    rest = len(core) // SECTOR - 1
    blocks = (2).to_bytes(8, "little") + rest.to_bytes(2, "little") + (0x820).to_bytes(2, "little")
    core[SECTOR - 12 : SECTOR] = blocks
    code = bytearray((root / "usr/lib/grub/i386-pc/boot.img").read_bytes())
    code[0x5C:0x64] = (1).to_bytes(8, "little")
    code[0x66:0x68] = b"\x90\x90"  # as on every hard disk: the drive that the BIOS names
    # Its code for floppy disks is at the place of the partition table.
    return _record(bytes(code[:440]), (LINUX, FIRST_SECTOR * SECTOR, size)) + core


def _record(code: bytes, *entries: tuple[bytes, int, int]) -> bytes:
    """A master boot record with these partitions: kind, start and size in bytes."""
    record = bytearray(SECTOR)
    record[: len(code)] = code
    for number, (kind, start, size) in enumerate(entries):
        sectors = (start // SECTOR).to_bytes(4, "little") + (size // SECTOR).to_bytes(4, "little")
        record[TABLE + 16 * number : TABLE + 16 * (number + 1)] = kind + sectors
    record[510:] = b"\x55\xaa"
    return bytes(record)


def _efi_partition(root: Path) -> bytes:
    """An EFI partition with the program at the default path of firmware."""
    esp = root / WORK / "esp"
    _core(root, "x86_64-efi")
    run(
        root,
        f"truncate -s {ESP_SIZE} /{WORK}/esp && mkfs.vfat /{WORK}/esp"
        f" && mmd -i /{WORK}/esp ::EFI ::EFI/BOOT"
        f" && mcopy -i /{WORK}/esp /{WORK}/core.img ::EFI/BOOT/BOOTX64.EFI",
    )
    return esp.read_bytes()


def _core(root: Path, platform: str, *modules: str) -> bytes:
    names = " ".join((*MODULES, *modules))
    run(
        root,
        f"grub-mkimage -O {platform} -p / -c /{WORK}/grub.cfg -o /{WORK}/core.img {names}",
    )
    return (root / WORK / "core.img").read_bytes()
