"""Is it a certificate? Loads `cryptography`, which takes tens of milliseconds, when it is asked."""

from __future__ import annotations


class CertificateError(ValueError):
    """The bytes are not the certificate or key that they should be."""


def check(der: bytes) -> None:
    """Raises CertificateError unless `der` is one X.509 certificate of any version or key type."""
    from protocol import certificates

    certificates.load_der(der)
