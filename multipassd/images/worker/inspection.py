"""Checks that a file is a complete disk image without backing files; finds its format and size.

The format is decided here, by the first bytes, and passed to QEMU from then on: if QEMU guessed, a
guest could write a header into its raw disk. qemu-img reads a qcow2 only after its header was found
to name no other file, and runs without rights, because it parses untrusted data.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any

from multipassd.disk_helper import client, request
from multipassd.disk_helper.request import QemuImgError
from multipassd.images.errors import ImageError, Refused
from multipassd.images.worker import partitions

QCOW2 = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQI")  # up to the encryption method
_HEADER_SIZE = 72  # of version 2
_FEATURES = struct.Struct(">Q")
_CORRUPT, _EXTERNAL_DATA = 1 << 1, 1 << 2
SECTOR = partitions.SECTOR
BOOT_SIGNATURE = b"\x55\xaa"  # at the end of the first sector, on GPT disks too
FOUND = {2, 3}  # exit codes of a check that found errors, or clusters that nothing uses
COPY_AGAIN = "Fetch or copy it again, and compare its size or checksum with its source's."
MAX_VIRTUAL = 64 << 40  # bytes; larger than any disk, smaller than what overflows

# Other image formats, which must not be taken for raw disks.
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
    """Format and virtual size in bytes. Raises ImageError; Refused if the image is at fault."""
    head = os.pread(descriptor, partitions.HEAD, 0)
    if check_start(head[:SECTOR]) == "raw":
        return "raw", _raw_size(head, os.fstat(descriptor).st_size)
    size = _measured(descriptor)
    if not 0 < size <= MAX_VIRTUAL:
        raise Refused(f"The image is refused: it has a virtual size of {size} bytes.")
    _check_whole(descriptor)
    return "qcow2", size


def _raw_size(head: bytes, length: int) -> int:
    if (wanted := partitions.end(head)) > length:
        raise Refused(
            f"The image is refused: it is cut off. By its partition table it has {wanted} bytes, "
            f"and {length} are there. {COPY_AGAIN}"
        )
    return -(-length // SECTOR) * SECTOR


def _check_whole(descriptor: int) -> None:
    """Check that the tables of a qcow2 are consistent, without reading its data. Raises
    ImageError."""
    facts, complaints = _facts(descriptor, "check")
    if wrong := facts.get("corruptions", 0) or facts.get("check-errors", 0):
        length = os.fstat(descriptor).st_size
        raise Refused(
            f"The image is refused: it is cut off or damaged. qemu-img check finds {wrong} errors "
            f"in its {length} bytes, the first: {complaints}. {COPY_AGAIN}"
        )


def check_start(head: bytes) -> str:
    """The format, by the first sector. Raises Refused if it is no image to launch."""
    if head.startswith(QCOW2):
        check_header(head)
        return "qcow2"
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise Refused(
                f"The image is refused: it is {name}. Convert it to qcow2 or raw first; xz and "
                "zstd are unpacked."
            )
    if len(head) < SECTOR or head[-2:] != BOOT_SIGNATURE:
        raise Refused("The image is refused: it is no disk image, neither qcow2 nor raw.")
    return "raw"


def check_header(head: bytes) -> None:
    """Raises Refused for the header of a qcow2 that would read other files."""
    if len(head) < _HEADER_SIZE:
        raise Refused("The image is refused: it ends within its header.")
    _, version, backing, _, _, _, encryption = _HEADER.unpack_from(head)
    if version not in {2, 3}:
        raise Refused(f"The image is refused: qcow2 version {version} is not known.")
    if backing:
        raise Refused("The image is refused: it is based on another file (a backing file).")
    if encryption:
        raise Refused("The image is refused: it is encrypted.")
    features = _FEATURES.unpack_from(head, _HEADER_SIZE)[0] if version == 3 else 0
    if features & _EXTERNAL_DATA:
        raise Refused("The image is refused: its data is in another file.")
    if features & _CORRUPT:
        raise Refused("The image is refused: it is marked as corrupt.")


def _measured(descriptor: int) -> int:
    """The virtual size by qemu-img, which finds other errors, too. Raises ImageError."""
    # For qemu-img's user, who has the descriptor; the directories above keep other users out.
    os.fchmod(descriptor, 0o644)
    facts, _ = _facts(descriptor, "info")
    specific = facts.get("format-specific", {}).get("data", {})
    if "backing-filename" in facts or "data-file" in specific:
        raise Refused("The image is refused: it needs another file.")
    try:
        return int(facts["virtual-size"])
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("The image is refused: qemu-img could not tell its size.") from error


def _facts(descriptor: int, verb: str) -> tuple[dict[str, Any], str]:
    """qemu-img's JSON about a qcow2, and its first error message. Raises ImageError."""
    words = (verb, "--output=json", "--force-share", "-f", "qcow2", request.file(0))
    try:
        answer = client.ask(*words, descriptors=[descriptor])
    except QemuImgError as error:
        raise ImageError(f"The image can't be inspected: {error}") from error
    if answer.code == request.MISSING:
        raise ImageError(
            "The image can't be inspected: qemu-img is missing. Install the package qemu-utils."
        )
    if answer.code < 0:
        raise ImageError(f"The image can't be inspected: {answer.reason}.")  # killed by a limit
    try:
        facts = json.loads(answer.output)
    except (ValueError, RecursionError):
        facts = None
    complete = answer.code == 0 or (verb == "check" and answer.code in FOUND)
    if not complete or not isinstance(facts, dict):
        raise Refused(f"The image is refused: {_reason(answer.errors)}.")
    return facts, _reason(answer.errors)


def _reason(errors: str) -> str:
    """The first error message, without the names of the program and the file."""
    lines = [line for line in errors.splitlines() if line.strip()] or ["qemu-img gave no reason"]
    return request.shown(lines[0].rpartition("': ")[2].removeprefix("ERROR").lstrip(": "))
