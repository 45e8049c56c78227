"""The period that a certificate is valid for, read from its DER. Pure.

The CLI looks at it after its commands, where `cryptography` would cost 50 ms.
"""

from __future__ import annotations

SEQUENCE, INTEGER, VERSION = 0x30, 0x02, 0xA0
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
LONG_FORM = 0x80
LONGEST_LENGTH = 4  # bytes that a length may have
CENTURY_AT = "50"  # RFC 5280: years of two digits from here on are of the twentieth century


def period(der: bytes) -> tuple[str, str]:
    """Not before and not after, UTC, as YYYYMMDDHHMMSS: such texts compare as the moments do.

    Raises ValueError for anything but a certificate with two moments in the forms of RFC 5280.
    """
    _, at, _ = _element(der, 0, SEQUENCE)
    _, at, _ = _element(der, at, SEQUENCE)  # what is signed
    if der[at : at + 1] == bytes((VERSION,)):
        _, _, at = _element(der, at, VERSION)
    for tag in (INTEGER, SEQUENCE, SEQUENCE):  # serial number, algorithm, issuer
        _, _, at = _element(der, at, tag)
    _, at, _ = _element(der, at, SEQUENCE)
    first, at = _moment(der, at)
    last, _ = _moment(der, at)
    return first, last


def ends(der: bytes) -> float:
    """Not after, in seconds since 1970. Raises ValueError as `period` does, and for a day that no
    calendar has."""
    moment = period(der)[1]
    year, month, day = int(moment[:4]), int(moment[4:6]), int(moment[6:8])
    hour, minute, second = int(moment[8:10]), int(moment[10:12]), int(moment[12:14])
    from datetime import UTC, datetime  # not for the CLI, which compares texts

    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


def _moment(der: bytes, at: int) -> tuple[str, int]:
    tag, start, end = _element(der, at)
    text = der[start:end].decode("ascii")
    if tag == UTC_TIME:
        text = ("20" if text < CENTURY_AT else "19") + text
    elif tag != GENERALIZED_TIME:
        raise ValueError("a moment of the certificate is none")
    digits = text[:-1]
    if len(digits) != 14 or not digits.isdecimal() or text[-1] != "Z":
        raise ValueError("a moment of the certificate is none")
    return digits, end


def _element(der: bytes, at: int, wanted: int | None = None) -> tuple[int, int, int]:
    """Its tag, and where its content begins and ends."""
    if at + 2 > len(der) or wanted not in (None, der[at]):
        raise ValueError("this is no certificate")
    length, start = der[at + 1], at + 2
    if length & LONG_FORM:
        size = length & ~LONG_FORM
        if not 0 < size <= LONGEST_LENGTH:
            raise ValueError("this is no certificate")
        length, start = int.from_bytes(der[start : start + size], "big"), start + size
    if start + length > len(der):
        raise ValueError("this is no certificate")
    return der[at], start, start + length
