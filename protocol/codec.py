"""Encode and decode proto3 messages, by a schema that is declared in their classes. Pure.

    class PingReply(Message):
        name: str = string(1)
        sizes: list[int] = repeated(int32(2))

Why own code: Google's library costs each command 30 ms and the daemon 4 MiB, and its generated
files work with either Debian's or PyPI's release of it, not both. Tests compare with the library.
Differences on purpose: unknown fields are skipped and not kept; groups are refused.
"""

from __future__ import annotations

from protocol.wire_format import (
    LENGTH,
    MAX_TAG,
    U64,
    VARINT,
    DecodeError,
    read_raw,
    read_varint,
    write_bytes,
    write_varint,
)

TYPE_CHECKING = False  # typing itself costs each command 6 ms
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self


class Field:
    """One row of a message's schema; its name is set by the class that holds it."""

    __slots__ = ("kind", "message", "name", "number", "oneof", "presence", "repeated", "value")

    def __init__(self, number: int, kind: str, **traits: Any) -> None:
        self.number = number
        self.kind = kind  # int, bool, string, bytes, message or map
        self.name = ""
        self.message: type[Message] | None = traits.get("message")
        self.value: Field | None = traits.get("value")  # of a map
        self.oneof: str | None = traits.get("oneof")
        self.presence: bool = self.oneof is not None or traits.get("optional", False)
        self.repeated = False

    def default(self) -> Any:
        if self.kind == "map":
            return {}
        if self.repeated:
            return []
        if self.presence or self.kind == "message":
            return None
        return _ZERO[self.kind]


_ZERO: dict[str, Any] = {
    "int32": 0,
    "int64": 0,
    "uint": 0,
    "bool": False,
    "string": "",
    "bytes": b"",
}


# The markers return Any so that `name: str = string(1)` reads as what the attribute will hold.
def int32(number: int, **traits: Any) -> Any:
    """int32 and enumerations (a value this release does not know is kept)."""
    return Field(number, "int32", **traits)


def int64(number: int, **traits: Any) -> Any:
    return Field(number, "int64", **traits)


def uint(number: int, **traits: Any) -> Any:
    return Field(number, "uint", **traits)


def boolean(number: int, **traits: Any) -> Any:
    return Field(number, "bool", **traits)


def string(number: int, **traits: Any) -> Any:
    return Field(number, "string", **traits)


def binary(number: int, **traits: Any) -> Any:
    return Field(number, "bytes", **traits)


def message(number: int, kind: type[Message], **traits: Any) -> Any:
    return Field(number, "message", message=kind, **traits)


def mapping(number: int, value: Any) -> Any:
    """map<string, V>; `value` is a marker with number 2."""
    return Field(number, "map", value=value)


def repeated(field: Any) -> Any:
    field.repeated = True
    return field


class Message:
    """Base of all messages: keyword arguments, attributes, equality, encode, decode."""

    _by_name: ClassVar[dict[str, Field]] = {}
    _by_number: ClassVar[dict[int, Field]] = {}

    def __init_subclass__(cls) -> None:
        fields = [(name, value) for name, value in vars(cls).items() if isinstance(value, Field)]
        for name, field in fields:
            field.name = name
            delattr(cls, name)
        cls._by_name = dict(fields)
        cls._by_number = {field.number: field for _, field in fields}

    def __init__(self, **values: Any) -> None:
        for name, field in self._by_name.items():
            setattr(self, name, values.pop(name) if name in values else field.default())
        if values:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(values)}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        """Names only the fields that are set, never their values: some are secrets."""
        return f"<{type(self).__name__} {' '.join(n for n, v in vars(self).items() if v)}>"

    def which(self, oneof: str) -> str | None:
        """The member of `oneof` that is set."""
        for name, field in self._by_name.items():
            if field.oneof == oneof and getattr(self, name) is not None:
                return name
        return None

    def encode(self) -> bytes:
        out = bytearray()
        for name, field in self._by_name.items():
            _encode_field(out, field, getattr(self, name))
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises DecodeError."""
        result = cls()
        position = 0
        while position < len(data):
            tag, position = read_varint(data, position)
            number, wire_type = tag >> 3, tag & 7
            if not number or tag > MAX_TAG:
                raise DecodeError(f"{tag >> 3} is no field number")
            raw, position = read_raw(data, position, wire_type)
            field = cls._by_number.get(number)
            if field is not None:
                result._take(field, wire_type, raw)
        return result

    def _take(self, field: Field, wire_type: int, raw: Any) -> None:
        if field.kind == "map":
            if wire_type == LENGTH:
                key, value = _decode_entry(field, raw)
                getattr(self, field.name)[key] = value
        elif field.repeated:
            _extend(getattr(self, field.name), field, wire_type, raw)
        elif wire_type == _WIRE_TYPE[field.kind]:
            self._clear_siblings(field)
            setattr(self, field.name, self._merged(field, raw))

    def _merged(self, field: Field, raw: Any) -> Any:
        """proto3: a message field that comes twice is merged; a scalar's last value counts."""
        previous = getattr(self, field.name)
        if field.kind == "message" and previous is not None:
            raw = previous.encode() + raw
        return _decode_value(field, raw)

    def _clear_siblings(self, field: Field) -> None:
        if field.oneof is None:
            return
        for name, other in self._by_name.items():
            if other.oneof == field.oneof and other is not field:
                setattr(self, name, None)


_WIRE_TYPE = {
    "int32": VARINT,
    "int64": VARINT,
    "uint": VARINT,
    "bool": VARINT,
    "string": LENGTH,
    "bytes": LENGTH,
    "message": LENGTH,
}

# -- encoding -------------------------------------------------------------------------------------


def _encode_field(out: bytearray, field: Field, value: Any) -> None:
    if field.kind == "map":
        for key, item in value.items():
            entry = bytearray()
            write_bytes(entry, 1, key.encode())
            assert field.value is not None
            _encode_value(entry, field.value, item)
            write_bytes(out, field.number, bytes(entry))
    elif field.repeated:
        _encode_repeated(out, field, value)
    elif value is not None and (field.presence or field.kind == "message" or value):
        _encode_value(out, field, value)


def _encode_repeated(out: bytearray, field: Field, values: Any) -> None:
    if _WIRE_TYPE[field.kind] == LENGTH:
        for value in values:
            _encode_value(out, field, value)
    elif values:
        packed = bytearray()
        for value in values:
            write_varint(packed, int(value) & U64)
        write_bytes(out, field.number, bytes(packed))


def _encode_value(out: bytearray, field: Field, value: Any) -> None:
    if field.kind == "bytes":
        write_bytes(out, field.number, value)
    elif field.kind == "string" or field.kind == "message":
        write_bytes(out, field.number, value.encode())
    else:
        write_varint(out, field.number << 3 | VARINT)
        write_varint(out, int(value) & U64)  # negative numbers take ten bytes, as proto3 says


# -- decoding -------------------------------------------------------------------------------------


def _decode_value(field: Field, raw: Any) -> Any:
    if field.kind == "string":
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise DecodeError(f"field {field.number} is not UTF-8") from None
    if field.kind == "bytes":
        return bytes(raw)
    if field.kind == "message":
        assert field.message is not None
        return field.message.decode(raw)
    return _decode_number(field.kind, raw)


def _decode_number(kind: str, raw: int) -> int | bool:
    if kind == "bool":
        return raw != 0
    if kind == "int32":
        raw &= 0xFFFFFFFF
        return raw - (1 << 32) if raw >> 31 else raw
    if kind == "int64":
        return raw - (1 << 64) if raw >> 63 else raw
    return raw


def _extend(values: list[Any], field: Field, wire_type: int, raw: Any) -> None:
    expected = _WIRE_TYPE[field.kind]
    if wire_type == expected:
        values.append(_decode_value(field, raw))
    elif expected == VARINT and wire_type == LENGTH:  # packed
        position = 0
        while position < len(raw):
            number, position = read_varint(raw, position)
            values.append(_decode_number(field.kind, number))


def _decode_entry(field: Field, raw: bytes) -> tuple[str, Any]:
    """A map's entry: a message of key (1) and value (2), either of which may be absent."""
    assert field.value is not None
    key = ""
    value: Any = field.value.message() if field.value.message else field.value.default()
    position = 0
    while position < len(raw):
        tag, position = read_varint(raw, position)
        part, position = read_raw(raw, position, tag & 7)
        if tag == 1 << 3 | LENGTH:
            key = _decode_value(_KEY, part)
        elif tag == 2 << 3 | _WIRE_TYPE[field.value.kind]:
            value = _decode_value(field.value, part)
    return key, value


_KEY = Field(1, "string")
