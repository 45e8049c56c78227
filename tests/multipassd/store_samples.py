"""Distinct certificates in microseconds: one template whose serial number is patched.

The signature no longer fits, which nobody looks at: a client certificate is known by its hash.
"""

from functools import cache

from protocol.certificates import make_client
from protocol.pem import der_to_pem, pem_to_der


@cache
def _template() -> tuple[bytes, bytes]:
    der = pem_to_der(make_client().certificate)
    # SEQUENCE, SEQUENCE, [0] version 3, then INTEGER: the serial number.
    at = der.index(b"\xa0\x03\x02\x01\x02\x02") + 7
    length = der[at - 1]
    return der[: at + length - 6], der[at + length :]


def der(number: int) -> bytes:
    before, after = _template()
    return before + number.to_bytes(6, "big") + after


def pem(number: int) -> bytes:
    return der_to_pem(der(number))
