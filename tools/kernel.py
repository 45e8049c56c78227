"""A Linux kernel for x86-64 that unpacks itself fast, for guests that are emulated.

Debian's is packed with zstd, and unpacking it takes an emulated CPU two seconds, of the six until
the test image's first program runs. This packs the same kernel with LZ4, behind an entry of our own
(`unpack.S`, `unpack.c`), which saves one of the six. It boots by the 32-bit protocol, as GRUB does
on a BIOS, and not as an EFI program.
"""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import zstandard

from tools import bootdisk, roots

PACKAGES = ("lz4",)
FILES = Path(__file__).parent / "guest"
SECTOR = 512
LOADED_AT = 0x5000000  # behind the unpacked kernel, and within 128 MiB
PAGE = 4096
LOAD = 1  # the kind of a segment that is loaded
PARAMETERS = 8  # where `unpack.S` has target, entry and length
# Of the header in the kernel's first sector, by Linux's Documentation/arch/x86/boot.rst.
SETUP_SECTORS, SIZE, FLAGS, PAYLOAD, ADDRESS, MEMORY = 0x1F1, 0x1F4, 0x236, 0x248, 0x258, 0x260
# The code runs without a stack protector's storage, SSE, or anything else that is not set up.
COMPILE = (
    "gcc", "-O2", "-fPIE", "-ffreestanding", "-fno-stack-protector", "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables", "-fno-tree-loop-distribute-patterns", "-fno-strict-aliasing",
    "-mgeneral-regs-only", "-mno-red-zone", "-nostdlib", "-static", "-Wl,--build-id=none",
    "-Wl,-Ttext=0,--section-start=.tables=0x1000,-estart,-z,noexecstack",
)  # fmt: skip
ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Image:
    """What lies in memory, from `target` on, when the kernel begins at `entry`."""

    target: int
    entry: int
    content: bytes


def repack(root: Path, kernel: Path, packed: Path) -> None:
    """Write the kernel, packed anew, by the programs of a root with PACKAGES. Raises RootError."""
    old = kernel.read_bytes()
    header = bytearray(old[: (old[SETUP_SECTORS] + 1) * SECTOR])
    offset, length = struct.unpack_from("<II", header, PAYLOAD)
    payload = old[len(header) + offset :][:length]
    if not payload.startswith(ZSTD):
        raise roots.RootError(f"{kernel.name} is not packed with zstd")
    image = read(zstandard.ZstdDecompressor().decompressobj().decompress(payload))
    work = root / bootdisk.WORK
    (work / "kernel").write_bytes(image.content)
    bootdisk.run(root, f"lz4 -9 -l -f -q /{bootdisk.WORK}/kernel /{bootdisk.WORK}/kernel.lz4")
    data = (work / "kernel.lz4").read_bytes()
    body = bytearray(_code(work))
    struct.pack_into("<QQQ", body, PARAMETERS, image.target, image.entry, len(data))
    body += data + bytes(-len(data) % PAGE)
    struct.pack_into("<I", header, SIZE, len(body) // 16)
    struct.pack_into("<H", header, FLAGS, 0)  # none of EFI, 64-bit entry, memory above 4 GiB
    struct.pack_into("<II", header, PAYLOAD, 0, 0)
    struct.pack_into("<QI", header, ADDRESS, LOADED_AT, len(body))
    packed.write_bytes(header + body)


def read(program: bytes) -> Image:
    """The loadable segments of an ELF program, each at its physical address."""
    entry, at = struct.unpack_from("<QQ", program, 24)
    size, count = struct.unpack_from("<HH", program, 54)
    segments = []
    for number in range(count):
        kind, _, offset, _, address, length = struct.unpack_from(
            "<IIQQQQ", program, at + number * size
        )
        if kind == LOAD:
            segments.append((address, program[offset : offset + length]))
    target = min(address for address, _ in segments)
    content = bytearray(max(address + len(data) for address, data in segments) - target)
    for address, data in segments:
        content[address - target : address - target + len(data)] = data
    return Image(target, entry, bytes(content).rstrip(b"\0"))


def _code(work: Path) -> bytes:
    program, code = work / "unpack.elf", work / "unpack"
    _run(*COMPILE, "-o", program, FILES / "unpack.S", FILES / "unpack.c")
    _run("objcopy", "-O", "binary", program, code)
    return code.read_bytes()


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise roots.RootError(f"{command[0]}: {done.stderr[-500:].strip()}")
