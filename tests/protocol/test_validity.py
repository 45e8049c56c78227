"""The period of a certificate: as `cryptography` reads it, and an error for all else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.certificates import load_der, make_client
from protocol.pem import pem_to_der
from protocol.validity import ends, period

DER = pem_to_der(make_client().certificate)


@pytest.mark.parametrize("year", [1971, 1999, 2026, 2049, 2050, 2200])
def test_it_is_what_the_library_says(year: int) -> None:
    der = pem_to_der(make_client(datetime(year, 2, 28, 23, 59, 59, tzinfo=UTC)).certificate)
    parsed = load_der(der)
    wanted = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    assert period(der) == tuple(f"{each:%Y%m%d%H%M%S}" for each in wanted)
    assert ends(der) == wanted[1].timestamp()


def test_a_day_that_no_calendar_has_is_an_error() -> None:
    begin, end = (text[2:].encode() + b"Z" for text in period(DER))
    at = DER.index(end, DER.index(begin) + 1)
    with pytest.raises(ValueError, match="day"):
        ends(DER[:at] + end[:2] + b"0230" + end[6:] + DER[at + len(end) :])


def test_moments_compare_as_texts() -> None:
    now = datetime(1999, 6, 1, tzinfo=UTC)
    found = [
        period(pem_to_der(make_client(now + days * timedelta(days=400)).certificate))[1]
        for days in range(0, 60, 7)
    ]
    assert found == sorted(found)


@given(st.binary(max_size=80) | st.integers(0, len(DER) - 1).map(lambda size: DER[:size]))
def test_what_is_no_certificate_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        period(data)


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_a_wrong_byte_is_an_error_or_gives_two_moments(at: int, byte: int) -> None:
    try:
        begin, end = period(DER[:at] + bytes((byte,)) + DER[at + 1 :])
    except ValueError:
        return
    assert begin.isdecimal() and end.isdecimal() and len(begin) == len(end) == 14
