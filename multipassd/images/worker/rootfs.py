"""Recognizes root file systems for containers: a squashfs, or a tar archive, which may be packed.

Two kinds of archives are taken: the files of a system themselves, and an image as
`incus image export` writes it, with those below `rootfs/` and `metadata.yaml` beside them. What an
archive holds is read by `archive.py`; here only its beginning is, which decides whether a file of
this host is copied at all.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from multipassd.images.errors import NotContainers, Refused
from multipassd.images.exported import begins
from multipassd.images.image import SQUASHFS, TAR
from multipassd.images.worker.archive import Archive, Layout
from multipassd.images.worker.inspection import COPY_AGAIN, QCOW2, SECTOR, check_start
from multipassd.images.worker.unpack import GZIP, XZ, ZSTD, head

_SQUASHFS = b"hsqs"
_SUPERBLOCK = struct.Struct("<4s4I6H8Q")
_VERSION = 4, 0
_TAR_AT, _TAR = 257, b"ustar"
_PACKED = (XZ, ZSTD, GZIP)
# Not taken, but said by name.
_FOREIGN = {b"BZh": "bzip2", b"PK\x03\x04": "zip"}


def check_beginning(file: BinaryIO) -> str:
    """Its format, SQUASHFS or TAR. Raises Refused if no container can be made of it, OSError."""
    sector = os.pread(file.fileno(), SECTOR, 0)
    if sector.startswith(_SQUASHFS):
        _check_superblock(file)
        return SQUASHFS
    for magic, name in _FOREIGN.items():
        if sector.startswith(magic):
            raise Refused(
                f"The image is refused: it is {name}. Pack it as tar.gz, tar.xz or tar.zst first."
            )
    unpacked = head(file, SECTOR) if sector.startswith(_PACKED) else sector
    if not _is_tar(unpacked):
        raise _no_container(unpacked)
    if begins(unpacked):
        raise NotContainers("an exported instance, with a disk")
    Layout.of(Archive(file))
    return TAR


def name_of(file: BinaryIO) -> str:
    """What it is, with its article, if a container could be made of it; else empty. Never fails."""
    sector = os.pread(file.fileno(), SECTOR, 0)
    if sector.startswith(_SQUASHFS):
        return "a squashfs"
    try:
        unpacked = head(file, SECTOR) if sector.startswith(_PACKED) else sector
    except Refused:
        return ""
    return "a tar archive" if _is_tar(unpacked) and not begins(unpacked) else ""


def _is_tar(sector: bytes) -> bool:
    return sector[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR


def _no_container(sector: bytes) -> Refused:
    if sector.startswith(QCOW2):
        return NotContainers("a disk, qcow2")
    try:
        check_start(sector)
    except Refused:
        return Refused(
            "The image is refused: no container can be made of it, as it is neither a squashfs nor "
            "a tar archive."
        )
    return NotContainers("a disk, raw")


def _check_superblock(file: BinaryIO) -> None:
    """Raises Refused where the file system is of another version, or cut off."""
    block = os.pread(file.fileno(), _SUPERBLOCK.size, 0)
    if len(block) < _SUPERBLOCK.size:
        raise Refused(f"The image is refused: it is cut off. {COPY_AGAIN}")
    fields = _SUPERBLOCK.unpack(block)
    version, used = fields[9:11], fields[12]
    if version != _VERSION:
        raise Refused(f"The image is refused: squashfs {version[0]}.{version[1]} is not known.")
    length = os.fstat(file.fileno()).st_size
    if used > length:
        raise Refused(
            f"The image is refused: it is cut off. It has {used} bytes as squashfs, and {length} "
            f"are there. {COPY_AGAIN}"
        )
