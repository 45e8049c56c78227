"""Writing a file front to back, with holes where the data is zero: images are mostly empty."""

from __future__ import annotations

import os

PIECE = 64 << 10  # looked at as one; a multiple of any file system's block
_ZEROS = bytes(PIECE)


class SparseWriter:
    """Goes on at `position`. `finish` gives the file its length: a hole at the end has none yet."""

    def __init__(self, descriptor: int, position: int = 0) -> None:
        self._descriptor = descriptor
        self.position = position

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            # The first byte settles most cases, the comparison is one memcmp.
            if piece[0] or piece != (_ZEROS if len(piece) == PIECE else bytes(len(piece))):
                self._write(piece)
            self.position += len(piece)

    def _write(self, piece: bytes) -> None:
        written = 0
        while written < len(piece):
            written += os.pwrite(self._descriptor, piece[written:], self.position + written)

    def finish(self) -> None:
        """Also durable when this returns."""
        os.ftruncate(self._descriptor, self.position)
        os.fsync(self._descriptor)
