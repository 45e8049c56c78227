"""Which certificate may take the place of another: of the same key, with dates that fit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from multipassd.certificates.certificate_checks import ends, renewal_complaint
from multipassd.certificates.expiry import NEVER_VALID
from protocol.certificates import CLIENT_LIFE, make_client, make_root, make_server
from protocol.pem import pem_to_der
from tests.interop.certificates import ed25519_pair, rsa_pair

DAY = timedelta(days=1)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = make_client().key


def certificate(days: float, key: bytes = KEY, life: timedelta = CLIENT_LIFE) -> bytes:
    """One that ends in that many days."""
    return pem_to_der(make_client(NOW + days * DAY - life, key, life).certificate)


NEW = certificate(365)


@pytest.mark.parametrize("days", [-1000, -1, 0, 1, 29, 31])
def test_a_certificate_that_ends_soon_or_has_ended_is_exchanged(days: int) -> None:
    assert renewal_complaint(certificate(days), NEW, NOW) == ""


def test_one_that_lasts_is_not_so_that_the_store_does_not_grow() -> None:
    assert "does not end soon" in renewal_complaint(certificate(31.1), NEW, NOW)
    assert "does not end soon" in renewal_complaint(NEW, NEW, NOW)


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (certificate(365, make_client().key), "another key"),
        (certificate(20), "the service's clock"),
        (certificate(365 + 29), ""),  # made by a clock that is ahead
        (certificate(365 + 32), "the service's clock"),
        (certificate(366.5, life=CLIENT_LIFE + DAY), ""),
        (certificate(3650, life=3650 * DAY), "more than a year"),
        (pem_to_der(rsa_pair().certificate), "another key"),
        (pem_to_der(ed25519_pair().certificate), "another key"),
        (pem_to_der(make_server(make_root()).certificate), "no certificate that is signed by"),
        (NEW[:-1] + bytes((NEW[-1] ^ 1,)), "no certificate that is signed by"),
        (NEW[:100], "no certificate"),
        (b"", "no certificate"),
    ],
    ids=count(),  # the bytes are different in each process
)
def test_only_one_of_the_same_key_that_is_valid_now_for_a_year_takes_its_place(
    new: bytes, why: str
) -> None:
    said = renewal_complaint(certificate(10), new, NOW)
    assert why in said and bool(said) == bool(why)


def test_a_certificate_without_a_moment_at_which_it_ends_is_never_valid() -> None:
    assert ends(NEW) == (NOW + 365 * DAY).timestamp()
    assert ends(b"rubbish") == NEVER_VALID
