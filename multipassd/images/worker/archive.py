"""Reads a tar archive of a root file system in one pass, with limits, and writes it anew.

Nothing is unpacked to files. What is written holds the system's files alone, packed by gzip, which
every Incus reads: no metadata of the archive's maker, whose templates Incus would follow with the
rights of the cluster's host.
"""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple, Self, cast

from multipassd.images.errors import Refused
from multipassd.images.worker.unpack import pieces

MAX_ENTRIES = 4_000_000  # a desktop system has some 300 000
MAX_UNPACKED = 64 << 30  # bytes; the cluster's pool may not limit what is unpacked there
MAX_READ = 4 << 20  # bytes of one read: a header may say that its names take gigabytes
LOOKED_AT = 64  # entries at the beginning that tell what an archive is
KEPT = 512  # bytes before the present place: tarfile goes back by one

PREFIX = "rootfs"
METADATA = "metadata.yaml"
TEMPLATES = "templates"
SYSTEM = {"bin", "etc", "lib", "sbin", "usr"}  # one of them begins every root file system
ATTRIBUTES = "SCHILY.xattr."  # the keys of extended attributes, e.g. of file capabilities

REFUSED = "The image is refused: "


class Archive:
    """The entries of an archive that may be packed, once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = _Forward(file)
        self._entries = 0
        self._size = 0
        self._tar: tarfile.TarFile | None = None

    @property
    def read(self) -> int:
        """Bytes of the file that were read."""
        return self._file.read_of_file

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """Raises Refused."""
        try:
            self._tar = tar = tarfile.TarFile(fileobj=cast(BinaryIO, self._file), mode="r")
            while (entry := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]
                self._count(entry)
                yield entry
        except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
            raise Refused(f"{REFUSED}its tar archive is damaged or cut off: {error}.") from error
        except MemoryError:
            raise Refused(f"{REFUSED}its tar archive takes too much memory to read.") from None
        self._check_end(tar.offset)

    def _check_end(self, offset: int) -> None:
        """Raises Refused where it ends otherwise than by a block of zeros: tarfile takes a header
        that is damaged for the end."""
        self._file.seek(offset)
        if self._file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise Refused(f"{REFUSED}its tar archive is damaged or cut off.")
        self._file.finish()  # its packing may be cut off behind that

    def content(self, entry: tarfile.TarInfo) -> BinaryIO | None:
        assert self._tar is not None
        return cast("BinaryIO | None", self._tar.extractfile(entry) if entry.isreg() else None)

    def _count(self, entry: tarfile.TarInfo) -> None:
        if entry.size < 0:  # which would lead back, and so to no end
            raise Refused(f"{REFUSED}its tar archive is damaged: a file has a size below zero.")
        self._entries += 1
        self._size += entry.size
        if self._entries > MAX_ENTRIES:
            raise Refused(f"{REFUSED}it has more than {MAX_ENTRIES} files.")
        if self._size > MAX_UNPACKED:
            raise Refused(f"{REFUSED}it unpacks to more than {MAX_UNPACKED} bytes.")


class Layout(NamedTuple):
    """Where in an archive the system's files are."""

    prefix: str  # the directory; empty: all of the archive

    @classmethod
    def of(cls, archive: Archive) -> Self:
        """By the first entries. Raises Refused where it has no root file system."""
        tops = set()
        for count, entry in enumerate(archive, 1):
            tops |= set(PurePosixPath(entry.name).parts[:1])
            if count == LOOKED_AT:
                break
        if tops & {PREFIX, METADATA}:
            return cls(PREFIX)
        if tops & SYSTEM:
            return cls("")
        raise Refused(
            f"{REFUSED}it is a tar archive of other files than a system's: neither `etc`, `usr` "
            "and the like are at its beginning, nor `rootfs`."
        )

    def inner(self, name: str) -> str | None:
        """The path in the system; None for what is none of its files. Raises Refused."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise Refused(f"{REFUSED}a file in its tar archive leads out of it.")
        if not self.prefix:
            return str(path)
        if path.parts[:1] != (self.prefix,):
            return None
        return str(path.relative_to(self.prefix))


def rewrite(source: BinaryIO, target: BinaryIO, report: Callable[[int], None]) -> None:
    """`report` gets percents. Raises Refused, OSError."""
    layout = Layout.of(Archive(source))
    total = max(os.fstat(source.fileno()).st_size, 1)
    archive, files, shown = Archive(source), 0, None
    # The same file gives the same bytes on each host: no time, no name.
    with gzip.GzipFile("", "wb", 1, target, 0) as packed:
        tar = tarfile.TarFile(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT)
        for entry in archive:
            if _adapt(entry, layout):
                tar.addfile(entry, archive.content(entry))
                tar.members.clear()  # type: ignore[attr-defined]
                files += 1
            percent = min(archive.read * 100 // total, 100)
            if percent != shown:
                report(shown := percent)
        tar.close()
    if not files:
        raise Refused(f"{REFUSED}its tar archive has no `{PREFIX}`.")
    target.flush()
    os.fsync(target.fileno())


def _adapt(entry: tarfile.TarInfo, layout: Layout) -> bool:
    """Is it one of the system's files? With its path there. Raises Refused."""
    name = layout.inner(entry.name)
    if name is None or entry.type not in tarfile.SUPPORTED_TYPES:
        return False
    entry.name = name
    if entry.islnk():  # names an entry; a symbolic link's target is the container's matter
        target = layout.inner(entry.linkname)
        if target is None:
            raise Refused(f"{REFUSED}a link in its tar archive leads out of it.")
        entry.linkname = target
    if entry.isreg():
        entry.type = tarfile.REGTYPE  # holes are filled: gzip packs them again
    else:
        entry.size = 0
    entry.pax_headers = {
        key: value for key, value in entry.pax_headers.items() if key.startswith(ATTRIBUTES)
    }
    return True


class _Forward:
    """An unpacked archive as a file that is read once, from the beginning to the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pieces = pieces(file)
        self._buffer = bytearray()
        self._start = 0  # where the buffer begins in the archive
        self._position = 0

    @property
    def read_of_file(self) -> int:
        return self._file.tell()

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        if whence or position < self._start:
            raise tarfile.ReadError("it would be read backwards")
        self._position = position  # first: what is skipped is not kept
        while position > self._end and self._more():
            pass
        return position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_READ:
            raise tarfile.ReadError("it has a header of unreasonable size")
        end = self._position + size
        while self._end < end and self._more():
            pass
        at = self._position - self._start
        data = bytes(self._buffer[at : at + size]) if at <= len(self._buffer) else b""
        self._position += len(data)
        return data

    def finish(self) -> None:
        while self._more():
            self._position = self._end

    @property
    def _end(self) -> int:
        return self._start + len(self._buffer)

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        # What was read goes; a skipped file is never held as a whole.
        done = min(self._position - KEPT - self._start, len(self._buffer))
        if done > 0:
            del self._buffer[:done]
            self._start += done
        self._buffer += piece
        return True
