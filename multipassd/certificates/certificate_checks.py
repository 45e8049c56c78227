"""Checks of certificates: validity, names, issuer, key. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from multipassd.certificates.expiry import NEVER_VALID
from protocol.certificates import CertificateError, load, load_der, load_key

CLOCKS_DIFFER = timedelta(days=1)  # between a client and the service
RENEWED_WITHIN = timedelta(days=30) + CLOCKS_DIFFER  # before its end, as clients begin by theirs
# Trust that was given for a year must not become endless by a renewal. A client over TCP whose
# clock is ahead by less than this renews all the same.
CLOCK_AHEAD = timedelta(days=30)
LONGEST_LIFE = timedelta(days=365) + CLOCK_AHEAD
# Each command is a connection, and parsing its certificate a tenth of what that costs beside TLS.
# So those of the last clients are kept; theirs have some 400 bytes.
KEPT, KEPT_LENGTH = 64, 1024


def not_after(der: bytes) -> datetime:
    return _end(load_der(der))


def ends(der: bytes) -> float:
    """When it ends, in seconds since 1970; NEVER_VALID where it says no moment."""
    return _ends(der) if len(der) > KEPT_LENGTH else _ends_kept(der)


def _ends(der: bytes) -> float:
    try:
        return not_after(der).timestamp()
    except (ValueError, OverflowError):
        return NEVER_VALID


_ends_kept = lru_cache(KEPT)(_ends)


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


def renewal_complaint(old: bytes, new: bytes, now: datetime) -> str:
    """Why the holder of one certificate can't have another in its place, both DER; empty if it can.

    The key is the same, so the connection has proven that the caller holds it. Dates by this
    machine's clock, as is whether renewing is due: each renewal costs room in the store.
    """
    try:
        before, after = load_der(old), load_der(new)
        after.verify_directly_issued_by(after)
        if _public(before) != _public(after):
            return "it has another key"
        begin, end, due = _start(after), _end(after), _end(before) - RENEWED_WITHIN
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return "it is no certificate that is signed by its own key"
    if now < due:
        return "the present one does not end soon"
    if not begin <= now + CLOCK_AHEAD or not now + RENEWED_WITHIN - CLOCKS_DIFFER < end:
        return f"its dates don't fit the service's clock, {now:%Y-%m-%d %H:%M} UTC"
    if end > now + LONGEST_LIFE:
        return "it would be valid for more than a year"
    return ""


def _public(certificate: x509.Certificate) -> bytes:
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return certificate.public_key().public_bytes(*form)


def _start(certificate: x509.Certificate) -> datetime:
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    return certificate.not_valid_before.replace(tzinfo=UTC)  # cryptography before 42


def _end(certificate: x509.Certificate) -> datetime:
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=UTC)
