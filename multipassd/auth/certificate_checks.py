"""Checks of certificates: validity, names, issuer, key. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.certificates import CertificateError, load, load_der, load_key


def not_after(der: bytes) -> datetime:
    return _end(load_der(der))


def valid_at(certificate: bytes, moment: datetime) -> bool:
    parsed = load(certificate)
    return _start(parsed) <= moment <= _end(parsed)


def pem_not_after(certificate: bytes) -> datetime:
    return _end(load(certificate))


def names(certificate: bytes) -> frozenset[str]:
    """The DNS names and IP addresses that a PEM certificate is valid for."""
    try:
        extensions = load(certificate).extensions
        value = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    except ValueError as error:
        raise CertificateError(f"the certificate's extensions are malformed: {error}") from error
    addresses = (str(address) for address in value.get_values_for_type(x509.IPAddress))
    return frozenset((*value.get_values_for_type(x509.DNSName), *addresses))


def matches(certificate: bytes, key: bytes) -> bool:
    """Whether a PEM key is the private half of a PEM certificate; False for garbage too."""
    try:
        public = load(certificate).public_key()
        private = load_key(key).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public.public_bytes(*form) == private.public_bytes(*form)


def is_authority(certificate: bytes) -> bool:
    try:
        extensions = load(certificate).extensions
        return bool(extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (ValueError, x509.ExtensionNotFound):
        return False


def is_issued_by(certificate: bytes, root: bytes) -> bool:
    """Was a PEM certificate signed by the key of another, and does it name that as its issuer?"""
    try:
        load(certificate).verify_directly_issued_by(load(root))
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True


def key_is_sound(key: bytes) -> bool:
    try:
        load_key(key)
    except CertificateError:
        return False
    return True


def _start(certificate: x509.Certificate) -> datetime:
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    return certificate.not_valid_before.replace(tzinfo=UTC)  # cryptography before 42


def _end(certificate: x509.Certificate) -> datetime:
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=UTC)
