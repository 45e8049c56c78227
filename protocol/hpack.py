"""HPACK (RFC 7541): header blocks in and out. Pure.

What is written is literals without indexing; what is read may use a dynamic table, if one is
allowed, and the Huffman code.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Header = tuple[bytes, bytes]

DEFAULT_TABLE = 4096  # what an encoder may use until it is allowed another size
ENTRY = 32  # what a header counts beside its name and value (RFC 7541, 4.1)
MOST_SIZES = 2  # changes of the table's size in front of a block: the smallest, the last (4.2)
MAX_INTEGER = 1 << 24  # far above any length or index that fits into a header block
# Blocks whose headers are kept, and their length: a client that repeats its calls repeats these.
KEPT, KEPT_LENGTH = 4, 512
KEPT_BY_ALL = 64  # of those that mean the same on each connection

NO_TABLE = b"\x20"  # in front of a first block: the dynamic table is empty and stays so

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


class TooLong(HpackError):
    """The headers of a block are longer than the limit."""


def encode(headers: Iterable[Header]) -> bytes:
    """Literals without indexing, names and values plain."""
    out = bytearray()
    for name, value in headers:
        out.append(0)
        out += _encode_integer(len(name), 7) + name
        out += _encode_integer(len(value), 7) + value
    return bytes(out)


class Decoder:
    """The header blocks of one connection, in order."""

    def __init__(
        self,
        huffman: Callable[[bytes], bytes],
        longest: int,
        table: int,
        shared: dict[bytes, tuple[Header, ...]] | None = None,
    ) -> None:
        """`huffman` decodes strings, and raises ValueError; `longest`: the headers of a block, as
        RFC 9113 counts their size; `table`: bytes of the dynamic table that is allowed; `shared`:
        blocks without a dynamic table that all decoders with the same `longest` keep together."""
        self._huffman = huffman
        self._longest = longest
        self._allowed = self._room = table
        self._table: list[Header] = []  # the newest first
        self._size = 0  # of the table's entries
        self._changes = 0  # of the table
        self._looks = 0  # at its entries
        self._shared = {} if shared is None else shared
        self._kept: dict[bytes, tuple[Header, ...]] = {}  # valid as long as the table is the same

    def decode(self, block: bytes) -> tuple[Header, ...]:
        """Raises HpackError."""
        headers = self._shared.get(block) or self._kept.get(block)
        if headers is not None:
            return headers
        changes, looks = self._changes, self._looks
        headers = tuple(self._read(block))
        if self._changes != changes:
            self._kept.clear()
        elif len(block) > KEPT_LENGTH:
            pass
        elif self._looks != looks:
            _keep(self._kept, KEPT, block, headers)
        else:
            _keep(self._shared, KEPT_BY_ALL, block, headers)
        return headers

    def _read(self, block: bytes) -> list[Header]:
        headers: list[Header] = []
        at, total, sizes = 0, 0, 0
        while at < len(block):
            first = block[at]
            if first & 0x80:  # indexed
                index, at = _integer(block, at, 0x7F)
                header = self._entry(index)
            elif first & 0x40:  # a literal that becomes an entry
                header, at = self._literal(block, at, 0x3F)
                self._add(header)
            elif first & 0x20:
                sizes += 1
                if headers or sizes > MOST_SIZES:
                    raise HpackError("a table size behind headers, or too many")
                size, at = _integer(block, at, 0x1F)
                self._resize(size)
                continue
            else:
                header, at = self._literal(block, at, 0x0F)
            total += len(header[0]) + len(header[1]) + ENTRY
            if total > self._longest:
                raise TooLong("headers over the limit")
            headers.append(header)
        return headers

    def _entry(self, index: int) -> Header:
        if 0 < index <= _STATIC:
            return STATIC_TABLE[index - 1]
        if _STATIC < index <= _STATIC + len(self._table):
            self._looks += 1
            return self._table[index - _STATIC - 1]
        raise HpackError(f"table entry {index} does not exist")

    def _literal(self, block: bytes, at: int, mask: int) -> tuple[Header, int]:
        index, at = _integer(block, at, mask)
        if index:
            name = self._entry(index)[0]
        else:
            name, at = self._string(block, at)
        value, at = self._string(block, at)
        return (name, value), at

    def _string(self, block: bytes, at: int) -> tuple[bytes, int]:
        if at >= len(block):
            raise HpackError("ends before a string")
        coded = block[at] & 0x80
        length, at = _integer(block, at, 0x7F)
        end = at + length
        if end > len(block):
            raise HpackError("ends inside a string")
        raw = block[at:end]
        if not coded:
            return raw, end
        try:
            return self._huffman(raw), end
        except ValueError as error:
            raise HpackError(str(error)) from None

    def _add(self, header: Header) -> None:
        size = len(header[0]) + len(header[1]) + ENTRY
        self._changes += 1
        self._shrink(self._room - size)
        if size <= self._room:
            self._table.insert(0, header)
            self._size += size

    def _resize(self, size: int) -> None:
        if size > self._allowed:
            raise HpackError("a dynamic table that was not offered")
        self._changes += 1
        self._room = size
        self._shrink(size)

    def _shrink(self, most: int) -> None:
        """Drop the oldest entries until the table is not larger than that."""
        while self._table and self._size > most:
            name, value = self._table.pop()
            self._size -= len(name) + len(value) + ENTRY


_STATIC = len(STATIC_TABLE)


def _keep(
    kept: dict[bytes, tuple[Header, ...]], most: int, block: bytes, headers: tuple[Header, ...]
) -> None:
    if len(kept) >= most:
        kept.clear()
    kept[block] = headers


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while at < len(block):
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if value > MAX_INTEGER or shift > 28:
            break
        if byte < 0x80:
            return value, at
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
