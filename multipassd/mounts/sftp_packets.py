"""The packets of SFTP version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions. Pure."""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from enum import IntEnum

from multipassd.mounts.id_map import IdMap

VERSION = 3
HEADER = struct.Struct(">IB")  # length of what follows, kind
READ_HEADER = struct.Struct(">IBII")  # of DATA: length, kind, id, length of the data
MAX_PACKET = 256 << 10  # bytes; sshfs and OpenSSH's client send at most 64 KiB of data in one
MAX_READ = 64 << 10  # bytes handed out in one packet; sshfs takes no more than 128 KiB
MAX_PATH = 4096  # the kernel's PATH_MAX
LAST_TIME = 0xFFFFFFFF  # seconds; the protocol has 32 bits


class Kind(IntEnum):
    """What a packet asks for, or answers."""

    INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = range(1, 11)
    OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK, SYMLINK = range(
        11, 21
    )
    STATUS, HANDLE, DATA, NAME, ATTRS = range(101, 106)
    EXTENDED, EXTENDED_REPLY = 200, 201


class Status(IntEnum):
    """How a request ended."""

    OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE = range(6)
    OP_UNSUPPORTED = 8


class Open:
    """Bits of an OPEN's flags."""

    READ, WRITE, APPEND, CREATE, TRUNCATE, EXCLUSIVE = (1 << number for number in range(6))


class Has:
    """Bits that tell which attributes follow."""

    SIZE, OWNER, MODE, TIMES = (1 << number for number in range(4))
    EXTENDED = 1 << 31


EXTENSIONS = (
    (b"posix-rename@openssh.com", b"1"),
    (b"statvfs@openssh.com", b"2"),
    (b"fstatvfs@openssh.com", b"2"),
    (b"hardlink@openssh.com", b"1"),
    (b"fsync@openssh.com", b"1"),
)

_ATTRIBUTES = struct.Struct(">IQIIIII")
_MODE_ONLY = struct.Struct(">II")
_STATVFS = struct.Struct(">11Q")


class BadPacket(Exception):
    """It is not what the protocol says."""


@dataclass(frozen=True)
class Attributes:
    """What is to be set; None: left as it is. Ids are the guest's."""

    size: int | None = None
    owner: tuple[int, int] | None = None  # user, group
    mode: int | None = None
    times: tuple[int, int] | None = None  # of the last access, of the last change; seconds


class Fields:
    """Takes the fields of one packet, in order."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def long(self) -> int:
        return int.from_bytes(self._take(8), "big")

    def view(self) -> memoryview:
        """A string, valid as long as the packet."""
        return self._take(self.number())

    def path(self) -> bytes:
        found = bytes(self.view())
        if len(found) > MAX_PATH or b"\0" in found:
            raise BadPacket("no path")
        return found or b"."

    def attributes(self) -> Attributes:
        flags = self.number()
        size = self.long() if flags & Has.SIZE else None
        owner = (self.number(), self.number()) if flags & Has.OWNER else None
        mode = self.number() if flags & Has.MODE else None
        times = (self.number(), self.number()) if flags & Has.TIMES else None
        return Attributes(size, owner, mode, times)  # extended ones, which come last, are ignored

    def _take(self, length: int) -> memoryview:
        start, self._at = self._at, self._at + length
        if self._at > len(self._data):
            raise BadPacket("it ends too early")
        return self._data[start : self._at]


def packet(kind: Kind, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return HEADER.pack(len(body) + 1, kind) + body


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def version() -> bytes:
    return packet(
        Kind.VERSION, number(VERSION), *(string(word) for pair in EXTENSIONS for word in pair)
    )


def status(request: int, code: Status, text: str = "") -> bytes:
    return packet(Kind.STATUS, number(request), number(code), string(text.encode()), string(b""))


def attributes(found: os.stat_result, uids: IdMap, gids: IdMap) -> bytes:
    """As the guest is to see them."""
    return _ATTRIBUTES.pack(
        Has.SIZE | Has.OWNER | Has.MODE | Has.TIMES,
        found.st_size,
        uids.to_guest(found.st_uid),
        gids.to_guest(found.st_gid),
        found.st_mode,
        min(max(int(found.st_atime), 0), LAST_TIME),
        min(max(int(found.st_mtime), 0), LAST_TIME),
    )


def kind_only(mode: int) -> bytes:
    """Attributes of which nothing but the file's kind is known."""
    return _MODE_ONLY.pack(Has.MODE, stat.S_IFMT(mode))


def statvfs(request: int, found: os.statvfs_result) -> bytes:
    fields = (
        found.f_bsize, found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail,
        found.f_files, found.f_ffree, found.f_favail, 0, found.f_flag, found.f_namemax,
    )  # fmt: skip
    return packet(Kind.EXTENDED_REPLY, number(request), _STATVFS.pack(*fields))
