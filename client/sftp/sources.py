"""What an upload reads: a file of this host, or a stream such as standard input."""

from __future__ import annotations

import os
import stat

from client import transfer_messages as messages
from client.sftp import protocol
from client.sftp.names import shown
from client.sftp.report import failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512  # bytes, the unit of st_blocks
STREAM_MODE = 0o664
UNKNOWN_SIZE = 1 << 62  # of files that tell 0 bytes and have content, as in /proc


class Source:
    """An open file; `with` closes it."""

    waits = False  # whether reading may block, so has to be waited for

    def __init__(self, descriptor: int, about: os.stat_result, path: bytes) -> None:
        self.descriptor = descriptor
        self._about = about
        self._path = path
        self._end = 0

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def attributes(self) -> protocol.Encoded:
        """What the copy gets: permissions, and the size where the end is a hole."""
        size = self._about.st_size
        return protocol.attributes(self._about.st_mode & 0o777, size if size > self._end else None)

    def chunks(self, most: int) -> Iterator[tuple[int, bytes]]:
        """Offsets and bytes, without the holes of a sparse file. Raises FileFailed."""
        try:
            for offset, length in self._parts():
                end = offset + length
                while offset < end:
                    data = os.pread(self.descriptor, min(most, end - offset), offset)
                    if not data:
                        self._end = self._about.st_size  # it has become shorter
                        return
                    yield offset, data
                    offset += len(data)
                self._end = max(self._end, offset)
        except OSError as error:
            raise failed(messages.cannot_read_local, shown(self._path), error) from error

    def _parts(self) -> Iterator[tuple[int, int]]:
        size = self._about.st_size
        if self._about.st_blocks * BLOCK >= size:
            yield 0, size or UNKNOWN_SIZE
            return
        at = 0
        while at < size:
            try:
                at = os.lseek(self.descriptor, at, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                return
            end = os.lseek(self.descriptor, at, os.SEEK_HOLE)
            yield at, end - at
            at = end


class Stream(Source):
    """Read until its end, when there is something to read; not closed."""

    waits = True

    def __init__(self, descriptor: int, path: bytes = b"-") -> None:
        super().__init__(descriptor, os.fstat(descriptor), path)

    def __exit__(self, *_: object) -> None:
        pass

    def attributes(self) -> protocol.Encoded:
        return protocol.attributes(STREAM_MODE)

    def chunks(self, most: int) -> Iterator[tuple[int, bytes]]:
        try:
            while data := os.read(self.descriptor, most):
                yield self._end, data
                self._end += len(data)
        except OSError as error:
            raise failed(messages.cannot_read_local, shown(self._path), error) from error


def opened(descriptor: int, path: bytes) -> Source:
    """Of a path that the user named: a file, or what is read as a stream, such as a pipe."""
    about = os.fstat(descriptor)
    if stat.S_ISREG(about.st_mode):
        return Source(descriptor, about, path)
    return Stream(descriptor, path)
