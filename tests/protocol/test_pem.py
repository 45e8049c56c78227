from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.pem import der_to_pem, fingerprint, pem_to_der


@given(st.binary(min_size=1, max_size=3000))
def test_any_der_survives_the_way_to_pem_and_back(der: bytes) -> None:
    assert pem_to_der(der_to_pem(der)) == der


@given(st.binary(min_size=1, max_size=300))
def test_lines_are_at_most_64_characters_and_the_last_one_ends(der: bytes) -> None:
    pem = der_to_pem(der)
    assert pem.endswith(b"\n") and b"\n\n" not in pem
    assert max(map(len, pem.splitlines())) <= 64


def test_the_first_of_several_certificates_counts() -> None:
    text = b"subject=x\r\n" + der_to_pem(b"one").replace(b"\n", b"\r\n") + der_to_pem(b"two")
    assert pem_to_der(text) == b"one"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no certificate",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAA*A\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAA==AAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_text_without_a_whole_certificate_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        pem_to_der(text)


@given(st.binary(max_size=400))
def test_no_input_raises_anything_but_value_error(text: bytes) -> None:
    for attempt in (text, b"-----BEGIN CERTIFICATE-----" + text + b"-----END CERTIFICATE-----"):
        try:
            assert pem_to_der(attempt)
        except ValueError:
            pass


def test_fingerprint_is_sha256_in_lower_hex() -> None:
    assert fingerprint(b"x") == sha256(b"x").hexdigest()
