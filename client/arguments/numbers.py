"""Whole numbers on the command line. Pure."""

from __future__ import annotations

MAX = 2**31 - 1  # what a request can carry


def parse(text: str) -> int | None:
    """The value of decimal digits; None for anything else, and for numbers above MAX."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    # Python refuses to convert thousands of digits.
    return number if len(digits) <= len(str(MAX)) and (number := int(digits)) <= MAX else None
