"""Numbers and fields of the protocol buffers wire format, without a schema. Pure."""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself costs each command 6 ms
if TYPE_CHECKING:
    from typing import Any

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types

MAX_VARINT_BYTES = 10  # 64 bits in groups of seven
U64 = (1 << 64) - 1
MAX_TAG = (1 << 32) - 1  # field numbers end at 2**29 - 1


class DecodeError(ValueError):
    """The bytes are not a message of this type."""


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned 64-bit number, and the position behind it. Raises DecodeError."""
    value = 0
    for shift in range(0, 7 * MAX_VARINT_BYTES, 7):
        if position >= len(data):
            raise DecodeError("ends inside a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & U64, position
    raise DecodeError("a number of more than ten bytes")


def read_raw(data: bytes, position: int, wire_type: int) -> tuple[Any, int]:
    """A field's number or bytes, and the position behind it. Raises DecodeError."""
    if wire_type == VARINT:
        return read_varint(data, position)
    if wire_type == LENGTH:
        length, position = read_varint(data, position)
    elif wire_type == FIXED64:
        length = 8
    elif wire_type == FIXED32:
        length = 4
    else:
        raise DecodeError(f"wire type {wire_type} is not used by proto3")
    end = position + length
    if end > len(data):
        raise DecodeError("ends inside a field")
    return data[position:end], end


def write_bytes(out: bytearray, number: int, data: bytes) -> None:
    """The field `number` with these bytes."""
    write_varint(out, number << 3 | LENGTH)
    write_varint(out, len(data))
    out += data


def write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
