"""Spans of time as people write them: a number and a unit. Pure."""

from __future__ import annotations

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
DIGITS = 6  # of the number: with more it is no span that anything here allows, and 64 bits hold it


def seconds(text: str) -> int | None:
    """Seconds of `30m`, `1h` or `7d`; None if it is no such text, or nothing."""
    number, unit = text[:-1], UNITS.get(text[-1:])
    whole = number.isascii() and number.isdigit() and len(number) <= DIGITS
    if unit is None or not whole or not int(number):
        return None
    return int(number) * unit
