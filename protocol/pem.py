"""Certificates as PEM text: to DER, back, and to the fingerprint they are known by.

Nothing here looks inside the DER, so it is light enough for the way of a plain command.
"""

import binascii
import re
from hashlib import sha256

LINE = 64  # characters of base64 a line, as RFC 7468 asks of writers

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(?P<body>[^-]*)-----END CERTIFICATE-----")
BLANKS = b" \t\r\n\v\f"


def fingerprint(der: bytes) -> str:
    """SHA-256 of the certificate, 64 lower-case hex digits."""
    return sha256(der).hexdigest()


def body_to_der(body: bytes) -> bytes:
    """Decode what stands between the two lines of a block.

    Raises ValueError for anything but blanks and well-formed base64 of at least one byte.
    """
    try:
        der = binascii.a2b_base64(body.translate(None, BLANKS), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"The PEM block is not base64: {error}.") from None
    if not der:
        raise ValueError("The PEM block is empty.")
    return der


def pem_to_der(pem: bytes) -> bytes:
    """The first certificate in the text; ValueError if there is none or it is not base64."""
    found = CERTIFICATE.search(pem)
    if found is None:
        raise ValueError("There is no complete PEM certificate in the text.")
    return body_to_der(found["body"])


def der_to_pem(der: bytes) -> bytes:
    """One block with a newline at its end."""
    text = binascii.b2a_base64(der, newline=False)
    lines = [text[start : start + LINE] for start in range(0, len(text), LINE)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])
