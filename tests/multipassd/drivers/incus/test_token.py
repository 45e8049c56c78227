"""Tokens come by copy and paste, from anywhere: each is read whole or refused, and never quoted."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.drivers.incus.api import token as tokens
from multipassd.drivers.incus.api.addresses import MAX_ADDRESSES, canonical, usable
from multipassd.drivers.incus.api.token import BadToken

FINGERPRINT = "ab" * 32
SECRET = "s3cr3t" * 10
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
GOOD = {
    "client_name": "daemon",
    "fingerprint": FINGERPRINT,
    "addresses": ["10.77.0.11:8443", "[fd00::1]:8443"],
    "secret": SECRET,
    "expires_at": "0001-01-01T00:00:00Z",
}


def encoded(fields: object) -> str:
    return base64.b64encode(json.dumps(fields).encode()).decode()


def test_a_token_says_where_the_cluster_is_and_what_its_certificate_is() -> None:
    found = tokens.read(f" {encoded(GOOD)}\n", NOW)
    assert (found.client, found.fingerprint) == ("daemon", FINGERPRINT)
    assert found.addresses == ("10.77.0.11:8443", "[fd00::1]:8443")
    assert found.text == encoded(GOOD)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fingerprint": "ab"}, "SHA-256"),
        ({"fingerprint": 7}, "no text"),
        ({"fingerprint": FINGERPRINT + "/../x"}, "SHA-256"),
        ({"secret": ""}, "no secret"),
        ({"secret": "x" * 1000}, "no secret"),
        ({"addresses": []}, "no address"),
        ({"addresses": "10.0.0.1:8443"}, "no address"),
        ({"addresses": ["a b:1", "x:99999", "user@host:1", "host/path", 7, None]}, "no address"),
        ({"expires_at": "2026-11-29T11:59:59.123456789Z"}, "ended, at 2026-11-29 11:59 UTC"),
        ({"expires_at": "tomorrow"}, "no time"),
        ({"expires_at": "2026-11-29T13:00:00"}, "no time"),
        ({"expires_at": {}}, "no time"),
        ({"server_name": "m2"}, "cluster add"),
        ({"client_name": ["x"]}, "no text"),
    ],
)
def test_what_is_wrong_with_a_token_is_told_without_its_secret(
    change: dict[str, object], why: str
) -> None:
    with pytest.raises(BadToken, match=why) as refused:
        tokens.read(encoded(GOOD | change), NOW)
    assert "incus config trust add" in refused.value.message
    assert SECRET not in refused.value.message


@pytest.mark.parametrize(
    "text", ["", " \n", "x", encoded(GOOD)[:-9], encoded([1]), encoded("x"), "A" * 20_000, "é"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        tokens.read(text, NOW)


@pytest.mark.parametrize(
    "end", ["2026-11-29T12:00:01Z", "2026-11-29T14:00:00.5+01:00", "", None, "0001-01-01T00:00:00Z"]
)
def test_a_token_that_has_not_ended_is_read(end: str | None) -> None:
    assert tokens.read(encoded(GOOD | {"expires_at": end}), NOW)


def test_neither_its_text_nor_its_secret_is_in_what_is_logged() -> None:
    found = tokens.read(encoded(GOOD), NOW)
    assert SECRET not in repr(found) and found.text not in repr(found)


@given(st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
def test_any_text_is_a_token_or_none(text: str) -> None:
    with pytest.raises(BadToken):
        tokens.read(text, NOW)


ANY = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), ANY))
def test_any_values_make_a_token_or_none(change: dict[str, object]) -> None:
    try:
        found = tokens.read(encoded(GOOD | change), NOW)
    except BadToken:
        return
    assert len(found.addresses) <= MAX_ADDRESSES and len(found.fingerprint) == 64


def test_addresses_are_bounded_and_each_is_there_once() -> None:
    many = [f"10.0.{number >> 8}.{number & 255}:8443" for number in range(1000)]
    assert usable(many * 2) == tuple(many[:MAX_ADDRESSES])
    assert usable(["https://m1.example:8443", "m1.example", "[::1]"]) == (
        "m1.example:8443",
        "[::1]:8443",
    )
    assert canonical("fd") == "fd:8443"
