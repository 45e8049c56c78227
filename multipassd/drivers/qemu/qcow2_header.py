"""The header of a qcow2 file, as far as it names other files. QEMU's user may have written it.

Source: QEMU's docs/interop/qcow2.txt.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

MAGIC = b"QFI\xfb"
VERSIONS = (2, 3)
EXTERNAL_DATA = 4  # an incompatible feature: the data is in another file
MAX_NAME = 1023  # bytes, by the format
MAX_CLUSTER = 2 << 20  # bytes, by the format; header, extensions and name lie in the first one
V2_LENGTH = 72  # bytes of a header of version 2; one of version 3 says its length
FORMAT, END = 0xE2792ACA, 0  # extensions: the backing file's format; the last one

_START = struct.Struct(">4sIQI")  # magic, version, the backing file's name: offset and length
_FEATURES = struct.Struct(">Q")  # at 72, incompatible ones
_LENGTH = struct.Struct(">I")  # at 100
_EXTENSION = struct.Struct(">II")  # type and length; its data is padded to 8 bytes


class Header(NamedTuple):
    """What other files a qcow2 file says that it needs."""

    backing: str = ""
    backing_format: str = ""
    external_data: bool = False


def read(descriptor: int) -> Header:
    """Raises OSError, ValueError where this is no qcow2 file."""
    try:
        return _parsed(os.pread(descriptor, MAX_CLUSTER, 0))
    except struct.error:
        raise ValueError("its header is cut off") from None


def _parsed(data: bytes) -> Header:
    magic, version, offset, length = _START.unpack_from(data)
    if magic != MAGIC or version not in VERSIONS:
        raise ValueError("it is no qcow2 file")
    features, end = 0, V2_LENGTH
    if version > 2:
        features, end = _FEATURES.unpack_from(data, 72)[0], _LENGTH.unpack_from(data, 100)[0]
    external = bool(features & EXTERNAL_DATA)
    if not offset:
        return Header(external_data=external)
    if length > MAX_NAME or offset + length > len(data) or end < V2_LENGTH:
        raise ValueError("its header is damaged")
    name = data[offset : offset + length].decode(errors="surrogateescape")
    return Header(name, _format(data[:offset], end), external)


def _format(data: bytes, offset: int) -> str:
    """Of the backing file; empty where none, or more than one, is named."""
    found = []
    while offset + _EXTENSION.size <= len(data):
        kind, length = _EXTENSION.unpack_from(data, offset)
        if kind == END:
            break
        offset += _EXTENSION.size
        if kind == FORMAT:
            found.append(data[offset : offset + length].decode(errors="surrogateescape"))
        offset += length + -length % 8
    return found[0] if len(found) == 1 else ""
