"""Writes a file sequentially, with holes where the data is zero, as images are mostly empty."""

from __future__ import annotations

import os

PIECE = 64 << 10  # bytes that become a hole together; a multiple of file systems' blocks
_ZEROS = bytes(PIECE)


class SparseWriter:
    """Writes from `position` on. `finish` sets the file's length, as a hole at the end has none."""

    def __init__(self, descriptor: int, position: int = 0) -> None:
        self._descriptor = descriptor
        self.position = position

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            # The first byte decides in most cases; the comparison is a memcmp.
            if piece[0] or piece != (_ZEROS if len(piece) == PIECE else bytes(len(piece))):
                self._write(piece)
            self.position += len(piece)

    def _write(self, piece: bytes) -> None:
        written = 0
        while written < len(piece):
            written += os.pwrite(self._descriptor, piece[written:], self.position + written)

    def finish(self) -> None:
        """Make the file complete and durable. Raises OSError."""
        os.ftruncate(self._descriptor, self.position)
        os.fsync(self._descriptor)
