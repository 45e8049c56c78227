"""Is this a disk image, of which kind and size, is it whole, and does it stand alone?

The format is decided here, by the first bytes, and said to QEMU ever after: QEMU guessing would
let a guest write a header into its raw disk and have it believed. qemu-img looks at a qcow2 only
after the header proved to name no other file, and without rights: it parses what a stranger wrote.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any

from multipassd.images.errors import ImageError
from multipassd.qemuimg import asking, request
from multipassd.qemuimg.request import QemuImgError

QCOW2 = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQI")  # up to the encryption method
_HEADER_SIZE = 72  # of version 2
_FEATURES = struct.Struct(">Q")
_CORRUPT, _EXTERNAL_DATA = 1 << 1, 1 << 2
SECTOR = 512
BOOT_SIGNATURE = b"\x55\xaa"  # at the end of the first sector, on GPT disks too
MAX_VIRTUAL = 64 << 40  # bytes; larger than any disk, smaller than what overflows

# What is an image, but none of ours: told apart from raw so that nobody boots a header.
_FOREIGN = {
    b"KDMV": "VMDK",
    b"# Disk Descriptor": "VMDK",
    b"vhdxfile": "VHDX",
    b"conectix": "VHD",
    b"<<< ": "VDI",
    b"QED\0": "QED",
    b"WithoutFreeSpace": "Parallels",
    b"WithouFreSpacExt": "Parallels",
    b"LUKS": "LUKS",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
}


def inspect(descriptor: int) -> tuple[str, int]:
    """Format and virtual size in bytes. Raises ImageError."""
    head = os.pread(descriptor, SECTOR, 0)
    if check_start(head) == "raw":
        return "raw", -(-os.fstat(descriptor).st_size // SECTOR) * SECTOR
    size = _measured(descriptor)
    if not 0 < size <= MAX_VIRTUAL:
        raise ImageError(f"The image is refused: a disk of {size} bytes is none to boot from.")
    return "qcow2", size


def check_start(head: bytes) -> str:
    """The format, by the first sector. Raises ImageError for what is no image to launch."""
    if head.startswith(QCOW2):
        check_header(head)
        return "qcow2"
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise ImageError(
                f"The image is refused: it is {name}. Convert it to qcow2 or raw first; xz and "
                "zstd are unpacked."
            )
    if len(head) < SECTOR or head[-2:] != BOOT_SIGNATURE:
        raise ImageError("The image is refused: it is no disk image, neither qcow2 nor raw.")
    return "raw"


def check_header(head: bytes) -> None:
    """Refuse a qcow2 that would read other files. Raises ImageError."""
    if len(head) < _HEADER_SIZE:
        raise ImageError("The image is refused: it ends within its header.")
    _, version, backing, _, _, _, encryption = _HEADER.unpack_from(head)
    if version not in {2, 3}:
        raise ImageError(f"The image is refused: qcow2 version {version} is not known.")
    if backing:
        raise ImageError("The image is refused: it is based on another file (a backing file).")
    if encryption:
        raise ImageError("The image is refused: it is encrypted.")
    features = _FEATURES.unpack_from(head, _HEADER_SIZE)[0] if version == 3 else 0
    if features & _EXTERNAL_DATA:
        raise ImageError("The image is refused: its data is in another file.")
    if features & _CORRUPT:
        raise ImageError("The image is refused: it is marked as corrupt.")


def _measured(descriptor: int) -> int:
    """The virtual size as qemu-img sees it, which also finds what else is wrong."""
    # Readable to who holds the descriptor; the directories above keep others out.
    os.fchmod(descriptor, 0o644)
    facts = _facts(descriptor, "info")
    specific = facts.get("format-specific", {}).get("data", {})
    if "backing-filename" in facts or "data-file" in specific:
        raise ImageError("The image is refused: it needs another file.")
    try:
        return int(facts["virtual-size"])
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError("The image is refused: qemu-img could not tell its size.") from error


def _facts(descriptor: int, verb: str) -> dict[str, Any]:
    words = (verb, "--output=json", "--force-share", "-f", "qcow2", request.file(0))
    try:
        answer = asking.ask(*words, descriptors=[descriptor])
    except QemuImgError as error:
        raise ImageError(f"The image can't be looked at: {error}") from error
    if answer.code == request.MISSING:
        raise ImageError(
            "The image can't be looked at: qemu-img is missing. Install the package qemu-utils."
        )
    try:
        facts = json.loads(answer.output) if answer.code == 0 else None
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise ImageError(f"The image is refused: {_told(answer.reason)}.")
    return facts


def _told(reason: str) -> str:
    """Without the names that qemu-img has for itself and the file."""
    return reason.rpartition("': ")[2]
