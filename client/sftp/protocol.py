"""SFTP version 3 (draft-ietf-secsh-filexfer-02), with extensions of OpenSSH. Pure.

A reply comes from the instance, which may be hostile: what does not fit its own length is refused.
"""

from __future__ import annotations

import stat
import struct

VERSION = 3
# Bytes of a packet without its length field. OpenSSH allows 256 KiB; what comes from a server
# is no longer than what was asked for, or a list of names.
MAX_PACKET = 256 * 1024 + 1024

# -- types of packets -----------------------------------------------------------------------------

INIT, VERSION_REPLY = 1, 2
OPEN, CLOSE, READ, WRITE, LSTAT = 3, 4, 5, 6, 7
FSETSTAT, OPENDIR, READDIR, REMOVE, MKDIR = 10, 11, 12, 13, 14
SETSTAT, REALPATH, STAT, RENAME, READLINK, SYMLINK = 9, 16, 17, 18, 19, 20
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
EXTENDED, EXTENDED_REPLY = 200, 201

POSIX_RENAME, LIMITS, STATVFS = (
    "posix-rename@openssh.com",
    "limits@openssh.com",
    "statvfs@openssh.com",
)

# -- open flags, attribute flags, status codes ----------------------------------------------------

FOR_READING, FOR_WRITING, CREATE, TRUNCATE, EXCLUSIVE = 0x01, 0x02, 0x08, 0x10, 0x20
HAS_SIZE, HAS_OWNER, HAS_MODE, HAS_TIMES, HAS_MORE = 0x1, 0x2, 0x4, 0x8, 0x80000000
OK, END, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE = 0, 1, 2, 3, 4
# The server's own words are not shown: they may be anything.
WHY = {
    END: "End of file",
    NO_SUCH_FILE: "No such file or directory",
    PERMISSION_DENIED: "Permission denied",
    FAILURE: "Failure",
    5: "Bad message",
    8: "Operation unsupported",
}

MAX_HANDLE = 256  # bytes, by the protocol

_U32, _U64, _HEAD = struct.Struct(">I"), struct.Struct(">Q"), struct.Struct(">IBI")
HEAD = _HEAD.size  # bytes: length, kind, number


class ProtocolError(Exception):
    """The server sent what is not SFTP, or more than it may."""


class Refused(Exception):
    """The server answered a request with an error."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.why = WHY.get(code, f"error {code}")
        super().__init__(self.why)


class Attributes:
    """Of a file: size in bytes, and mode with the file's type; None where the server tells none."""

    __slots__ = ("mode", "size")

    def __init__(self, size: int | None = None, mode: int | None = None) -> None:
        self.size = size
        self.mode = mode

    def is_directory(self) -> bool:
        return self.mode is not None and stat.S_ISDIR(self.mode)

    def is_link(self) -> bool:
        return self.mode is not None and stat.S_ISLNK(self.mode)

    def is_regular(self) -> bool:
        """Also where the server does not tell a type, as the protocol lets it."""
        return self.mode is None or not stat.S_IFMT(self.mode) or stat.S_ISREG(self.mode)


# -- requests -------------------------------------------------------------------------------------


class Encoded(bytes):
    """A field that is in the form of the wire already."""


def hello() -> bytes:
    return _HEAD.pack(5, INIT, VERSION)


def request(kind: int, number: int, *fields: bytes | int, data: int = 0) -> bytes:
    """A request of strings and 32-bit numbers; `data` bytes follow, as its last field."""
    body = b"".join(map(_field, fields))
    return _HEAD.pack(5 + len(body) + data, kind, number) + body


def offset(number: int) -> Encoded:
    return Encoded(_U64.pack(number))


def attributes(mode: int | None = None, size: int | None = None) -> Encoded:
    """Attributes to set: permissions, size in bytes, or none."""
    flags = (HAS_MODE if mode is not None else 0) | (HAS_SIZE if size is not None else 0)
    return Encoded(
        _U32.pack(flags)
        + (b"" if size is None else _U64.pack(size))
        + (b"" if mode is None else _U32.pack(stat.S_IMODE(mode)))
    )


def _field(field: bytes | int) -> bytes:
    if isinstance(field, int):
        return _U32.pack(field)
    return field if isinstance(field, Encoded) else _U32.pack(len(field)) + field


# -- replies --------------------------------------------------------------------------------------


class Reply:
    """A packet from the server: what it is, which request it answers, and its content."""

    __slots__ = ("body", "kind", "number")

    def __init__(self, kind: int, number: int, body: bytes) -> None:
        self.kind = kind
        self.number = number
        self.body = body


class Splitter:
    """Cuts what arrives into replies. Raises ProtocolError."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes | memoryview) -> list[Reply]:
        rest = self._rest
        rest += data
        found, start = [], 0
        with memoryview(rest) as view:
            while len(rest) - start >= 4:
                (length,) = _U32.unpack_from(view, start)
                if not HEAD - 4 <= length <= MAX_PACKET:
                    raise ProtocolError(f"a packet of {length} bytes")
                end = start + 4 + length
                if end > len(rest):
                    break
                _, kind, number = _HEAD.unpack_from(view, start)
                found.append(Reply(kind, number, bytes(view[start + HEAD : end])))
                start = end
        del rest[:start]
        return found


def check(reply: Reply) -> None:
    """For requests that only a status answers. Raises Refused, ProtocolError."""
    if reply.kind != STATUS:
        raise ProtocolError(f"a reply of type {reply.kind} instead of a status")
    if code := _Fields(reply.body).number():
        raise Refused(code)


def handle(reply: Reply) -> bytes:
    """Raises Refused, ProtocolError."""
    found = _fields(reply, HANDLE).string()
    if len(found) > MAX_HANDLE:
        raise ProtocolError(f"a handle of {len(found)} bytes")
    return found


def data(reply: Reply, most: int) -> memoryview:
    """At most so many bytes; empty at the end of the file. Raises Refused, ProtocolError."""
    if reply.kind == STATUS and _Fields(reply.body).number() == END:
        return memoryview(b"")
    length = _fields(reply, DATA).number()
    if not 0 < length <= most or length > len(reply.body) - 4:
        raise ProtocolError(f"{length} bytes of data where {most} were asked for")
    return memoryview(reply.body)[4 : 4 + length]  # copying it would cost a tenth of the time


def names(reply: Reply) -> list[tuple[bytes, Attributes]]:
    """Empty at the end of a directory. Raises Refused, ProtocolError."""
    if reply.kind == STATUS and _Fields(reply.body).number() == END:
        return []
    fields = _fields(reply, NAME)
    found = []
    for _ in range(fields.number()):  # each takes bytes of a packet whose size is limited
        name = fields.string()
        fields.string()  # as `ls -l` shows it
        found.append((name, fields.attributes()))
    if not found:
        raise ProtocolError("an empty part of a directory")
    return found


def stat_of(reply: Reply) -> Attributes:
    """Raises Refused, ProtocolError."""
    return _fields(reply, ATTRS).attributes()


def extensions(reply: Reply) -> dict[str, bytes]:
    """Of the server's first packet, whose version stands where others have a number."""
    if reply.kind != VERSION_REPLY or reply.number < VERSION:
        raise ProtocolError("no SFTP of version 3")
    fields, found = _Fields(reply.body), {}
    while fields.left():
        name = fields.string().decode("ascii", "replace")
        found[name] = fields.string()
    return found


def largest(reply: Reply) -> tuple[int, int]:
    """The bytes that one read and one write may have. Raises Refused, ProtocolError."""
    fields = _fields(reply, EXTENDED_REPLY)
    _packet, read, write, _handles = (fields.long() for _ in range(4))
    return read, write


def is_full(reply: Reply) -> bool:
    """Whether a file system has no room for users. Raises Refused, ProtocolError."""
    fields = _fields(reply, EXTENDED_REPLY)
    numbers = [fields.long() for _ in range(8)]  # sizes of blocks; blocks; files
    return numbers[4] == 0 or (numbers[5] > 0 and numbers[7] == 0)


def _fields(reply: Reply, kind: int) -> _Fields:
    if reply.kind != kind:
        check(reply)
        raise ProtocolError("success where a result is due")
    return _Fields(reply.body)


class _Fields:
    """Reads one field after the other. Raises ProtocolError behind the packet's end."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def left(self) -> int:
        return len(self._body) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left():
            raise ProtocolError("a packet that ends within a field")
        self._at += count
        return self._body[self._at - count : self._at]

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def long(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def attributes(self) -> Attributes:
        flags = self.number()
        size = self.long() if flags & HAS_SIZE else None
        if flags & HAS_OWNER:
            self.take(8)
        mode = self.number() if flags & HAS_MODE else None
        if flags & HAS_TIMES:
            self.take(8)
        for _ in range(2 * self.number() if flags & HAS_MORE else 0):
            self.string()
        return Attributes(size, mode)
