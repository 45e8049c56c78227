"""Sizes of memory and disks as users type and read them; every unit has base 1024. Pure."""

from __future__ import annotations

_UNITS = {"": 0, "b": 0} | {
    unit: power
    for power, letter in enumerate("kmg", 1)
    for unit in (letter, f"{letter}b", f"{letter}ib")
}
_SHOWN = (("GiB", 3), ("MiB", 2), ("KiB", 1))
MAX_DIGITS = 18  # what fits a signed 64-bit number, which every other program keeps sizes in


class SizeError(ValueError):
    """The text, which is Multipass 1.16's, says what a size looks like; `hint` says how what was
    probably meant is written, or is empty."""

    def __init__(self, text: str) -> None:
        self.hint = _hint(text)
        super().__init__(
            f"{text} is not a valid memory size - need a non-negative integer (in base 10) or a "
            "decimal followed by K, M, or G (e.g. 1234B, 42MiB, 0.5G)"
        )


def parse(text: str) -> int:
    """Bytes; fractions are floored. Raises SizeError."""
    size = _read(text.strip(" "))
    if size is None:
        raise SizeError(text)
    return size


def _read(text: str) -> int | None:
    number = text.rstrip("bBkKmMgGiI")
    power = _UNITS.get(text[len(number) :].lower())
    whole, point, fraction = number.partition(".")
    if power is None or not _digits(whole) or (point and (not _digits(fraction) or not power)):
        return None
    scale: int = 1024**power
    part: int = int(fraction or "0") * scale // 10 ** len(fraction)
    return int(whole) * scale + part


def _hint(text: str) -> str:
    """For a decimal comma, a fraction without a unit, and terabytes."""
    with_point = text.strip(" ").replace(",", ".", 1)
    for meant in (with_point, f"{with_point}G", _gigabytes(with_point)):
        if meant and _read(meant) is not None:
            return f"Did you mean {meant}?"
    return ""


def _gigabytes(text: str) -> str:
    """`1.5TiB` as `1536G`; empty if the unit is another one."""
    number = text.rstrip("bBiI")
    size = _read(f"{number[:-1]}G") if number[-1:] in ("t", "T") else None
    return f"{size * 1024 >> 30}G" if size else ""


def human(size: int) -> str:
    """The largest unit with a value of at least 1, one decimal: 4.8GiB, 999.0KiB, 12B."""
    for unit, power in _SHOWN:
        if size >= 1024**power:
            return f"{size / 1024**power:.1f}{unit}"
    return f"{size}B"


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
