"""Stores, and distinct certificates in microseconds: one template with its serial number patched.

The signature no longer fits, which is not verified: a client certificate is known by its hash.
"""

import os
import time
from functools import cache
from pathlib import Path

from multipassd.trust import store as trust_store
from multipassd.trust.store import TrustStore
from protocol.certificates import make_client
from protocol.pem import der_to_pem, fingerprint, pem_to_der


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


NAME = [fingerprint(der(number)) for number in range(60)]


def opened(directory: Path) -> TrustStore:
    store = TrustStore(directory)
    store.load()
    return store


def written(directory: Path, data: bytes, age: float = 10.0) -> TrustStore:
    """A store whose file was written by hand, `age` seconds ago."""
    directory.mkdir(0o700)
    path = directory / trust_store.FILE_NAME
    path.write_bytes(data)
    path.chmod(0o644)
    then = time.time() - age
    os.utime(path, (then, then))
    return opened(directory)


def enrolled(directory: Path, *numbers: int) -> TrustStore:
    store = opened(directory)
    for number in numbers:
        assert store.add(der(number), "passphrase", 1000)
    return store
