"""What a download writes: a file of this host, or a stream such as standard output."""

from __future__ import annotations

import os

from client.terminal.console import STDOUT, OutputError

PERMISSIONS = 0o777  # no set-user-ID bit of an instance arrives here
ZEROS = bytes(256 * 1024)


class File:
    """A new file; zeros become holes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._end = 0

    def write(self, offset: int, data: memoryview) -> None:
        """Raises OSError."""
        end = offset + len(data)
        if data[0] or bytes(data) != ZEROS[: len(data)]:
            while data:
                written = os.pwrite(self._descriptor, data, offset)
                data, offset = data[written:], offset + written
        self._end = max(self._end, end)

    def finish(self, mode: int) -> None:
        """Raises OSError."""
        os.ftruncate(self._descriptor, self._end)
        os.fchmod(self._descriptor, mode & PERMISSIONS)


class Stream:
    """Written in order, as it comes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, _offset: int, data: memoryview) -> None:
        """Raises OSError, or OutputError for standard output."""
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            if self._descriptor == STDOUT:
                raise OutputError(error) from error
            raise
