"""The size of a raw disk by its partition table, to detect a truncated copy. Pure."""

from __future__ import annotations

import struct

SECTOR = 512
HEAD = 2 * SECTOR  # bytes that have the tables

_TABLE, _ENTRIES = 446, 4  # in a master boot record
_ENTRY = struct.Struct("<B3xB3xII")  # status, type, first sector, count of sectors
_INACTIVE, _ACTIVE = 0x00, 0x80
_EMPTY, _PROTECTIVE = 0x00, 0xEE  # types; the latter means that there is a GPT
_GPT = b"EFI PART"
_ALTERNATE = struct.Struct("<Q")  # the sector of the second header, the disk's last
_ALTERNATE_AT = SECTOR + 32


def end(head: bytes) -> int:
    """The first byte after the disk, or after its last partition; 0 if there is no table."""
    if len(head) < HEAD:
        return 0
    entries = [_ENTRY.unpack_from(head, _TABLE + index * _ENTRY.size) for index in range(_ENTRIES)]
    if any(status not in {_INACTIVE, _ACTIVE} for status, *_ in entries):
        return 0  # code or text: a file system without partitions
    if any(kind == _PROTECTIVE for _, kind, *_ in entries):
        if head[SECTOR : SECTOR + len(_GPT)] != _GPT:
            return 0  # larger sectors than ours
        return int(_ALTERNATE.unpack_from(head, _ALTERNATE_AT)[0] + 1) * SECTOR
    ends = [first + count for _, kind, first, count in entries if kind != _EMPTY and first]
    return max(ends, default=0) * SECTOR
