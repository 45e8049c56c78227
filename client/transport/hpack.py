"""HPACK (RFC 7541) for a client with a dynamic table of size 0. Pure.

The client announces SETTINGS_HEADER_TABLE_SIZE 0, so a server may refer to the static table only;
requests are written as literals without indexing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Header = tuple[bytes, bytes]

MAX_INTEGER = 1 << 24  # far above any length or index that fits into a header block
MAX_HEADERS_LENGTH = 64 * 1024  # decoded; a status message of many failed instances fits

STATIC_TABLE: tuple[Header, ...] = (
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
)


class HpackError(ValueError):
    """The bytes are not a header block, or refer to a table entry that can't exist."""


def encode(headers: Iterable[Header]) -> bytes:
    """Literals without indexing, names and values plain."""
    out = bytearray()
    for name, value in headers:
        out.append(0)
        out += _encode_integer(len(name), 7) + name
        out += _encode_integer(len(value), 7) + value
    return bytes(out)


def decode(block: bytes) -> list[Header]:
    """Raises HpackError."""
    headers = []
    position = total = 0
    while position < len(block):
        first = block[position]
        if first & 0x80:  # indexed
            index, position = _integer(block, position, 7)
            header = _entry(index)
        elif first & 0x60 == 0x20:  # table size update
            size, position = _integer(block, position, 5)
            if size:
                raise HpackError("a dynamic table that was not offered")
            continue
        else:  # a literal; indexing has no effect on a table of size 0
            prefix = 6 if first & 0x40 else 4
            header, position = _literal(block, position, prefix)
        total += len(header[0]) + len(header[1])
        if total > MAX_HEADERS_LENGTH:
            raise HpackError("headers over the limit")
        headers.append(header)
    return headers


def _entry(index: int) -> Header:
    if not 1 <= index <= len(STATIC_TABLE):
        raise HpackError(f"table entry {index} does not exist")
    return STATIC_TABLE[index - 1]


def _literal(block: bytes, position: int, prefix: int) -> tuple[Header, int]:
    index, position = _integer(block, position, prefix)
    if index:
        name = _entry(index)[0]
    else:
        name, position = _string(block, position)
    value, position = _string(block, position)
    return (name, value), position


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    if position >= len(block):
        raise HpackError("ends before a string")
    coded = block[position] & 0x80
    length, position = _integer(block, position, 7)
    end = position + length
    if end > len(block):
        raise HpackError("ends inside a string")
    raw = block[position:end]
    return (_huffman(raw) if coded else raw), end


def _huffman(raw: bytes) -> bytes:
    from client.transport import huffman  # this service does not use the Huffman code; others do

    try:
        return huffman.decode(raw)
    except huffman.HuffmanError as error:
        raise HpackError(str(error)) from None


def _integer(block: bytes, position: int, prefix: int) -> tuple[int, int]:
    mask = (1 << prefix) - 1
    value = block[position] & mask
    position += 1
    if value < mask:
        return value, position
    shift = 0
    while position < len(block):
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if value > MAX_INTEGER or shift > 28:
            break
        if byte < 0x80:
            return value, position
        shift += 7
    raise HpackError("a number that is too large or has no end")


def _encode_integer(value: int, prefix: int) -> bytes:
    mask = (1 << prefix) - 1
    if value < mask:
        return bytes((value,))
    out = bytearray((mask,))
    value -= mask
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
