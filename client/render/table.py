"""Columns of left-justified cells. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 3  # blanks between a column's longest cell and the next column


def automatic(cells: Sequence[str], least: int = 0) -> int:
    """The width of a column that fits its cells, header included."""
    return max(least, *(len(cell) + GAP for cell in cells))


def render(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    """The last column is not padded, so it needs no width; a longer cell is not cut."""
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("".join((*padded[: len(row) - 1], row[-1])) + "\n")
    return "".join(lines)
