"""X.509 certificates: making the three kinds that both programs use, and reading foreign ones.

Imports `cryptography`, which takes tens of milliseconds: the CLI imports this module only to make
its certificate.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOCALHOST = "localhost"  # what every client expects, whatever address it connects to
ROOT_NAME = "Multipass Root CA"

DAY = timedelta(days=1)
BACKDATED = DAY  # a peer whose clock is a little behind must still find the certificate valid
ROOT_LIFE = 3650 * DAY
SERVER_LIFE = 365 * DAY
CLIENT_LIFE = 365 * DAY

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class CertificateError(ValueError):
    """The bytes are not the certificate or key that they should be."""


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM; the key is unencrypted PKCS#8."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "KeyPair(<certificate and private key>)"  # never a key in a log or a traceback


def make_client(now: datetime | None = None) -> KeyPair:
    """A self-signed client certificate for a random, meaningless name."""
    key = _new_key()
    name = _subject(str(uuid.uuid4()))
    builder = _builder(name, name, key, now, CLIENT_LIFE)
    builder = _for_end_entity(builder, ExtendedKeyUsageOID.CLIENT_AUTH)
    return _sign(builder, key, key)


def make_root(now: datetime | None = None) -> KeyPair:
    return make_root_for(_key_to_pem(_new_key()), now)


def make_root_for(key_pem: bytes, now: datetime | None = None) -> KeyPair:
    """A root certificate for a key that exists already."""
    key = _load_key(key_pem)
    name = _subject(ROOT_NAME)
    builder = _builder(name, name, key, now, ROOT_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return _sign(builder, key, key)


def make_server(root: KeyPair, names: Sequence[str] = (), now: datetime | None = None) -> KeyPair:
    """A server certificate for localhost and the given DNS names or IP literals."""
    issuer = _load(root.certificate)
    issuer_key = _load_key(root.key)
    key = _new_key()
    builder = _builder(_subject(LOCALHOST), issuer.subject, key, now, SERVER_LIFE)
    builder = _for_end_entity(builder, ExtendedKeyUsageOID.SERVER_AUTH)
    wanted = [_general_name(name) for name in dict.fromkeys((LOCALHOST, *names))]
    builder = builder.add_extension(x509.SubjectAlternativeName(wanted), critical=False)
    # Python's own strict verification asks for the issuer's key identifier.
    identifier = _authority_identifier(issuer, issuer_key)
    builder = builder.add_extension(identifier, critical=False)
    return _sign(builder, key, issuer_key)


def check(der: bytes) -> None:
    """Raises CertificateError unless `der` is one X.509 certificate of any version or key type."""
    _load_der(der)


def not_after(der: bytes) -> datetime:
    return _end(_load_der(der))


def canonical_name(name: str) -> str:
    """A name as `names` returns it; raises CertificateError for one that no certificate can hold.

    An IPv6 address loses its zone, which means nothing to other machines.
    """
    try:
        return str(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        pass
    try:
        return str(x509.DNSName(name).value)
    except ValueError as error:
        raise CertificateError(f"{name!r} is neither an ASCII host name nor an address") from error


def valid_at(certificate: bytes, moment: datetime) -> bool:
    parsed = _load(certificate)
    return _start(parsed) <= moment <= _end(parsed)


def pem_not_after(certificate: bytes) -> datetime:
    return _end(_load(certificate))


def names(certificate: bytes) -> frozenset[str]:
    """The DNS names and IP addresses that a PEM certificate is valid for."""
    try:
        extensions = _load(certificate).extensions
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
        public = _load(certificate).public_key()
        private = _load_key(key).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public.public_bytes(*form) == private.public_bytes(*form)


def is_authority(certificate: bytes) -> bool:
    try:
        extensions = _load(certificate).extensions
        return bool(extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (ValueError, x509.ExtensionNotFound):
        return False


def is_issued_by(certificate: bytes, root: bytes) -> bool:
    """Whether one PEM certificate carries a true signature of another's key and names it."""
    try:
        child, issuer = _load(certificate), _load(root)
        if child.issuer != issuer.subject:
            return False
        _verify_signature(child, issuer)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True


def key_is_sound(key: bytes) -> bool:
    try:
        _load_key(key)
    except CertificateError:
        return False
    return True


def _verify_signature(child: x509.Certificate, issuer: x509.Certificate) -> None:
    public = issuer.public_key()
    digest = child.signature_hash_algorithm
    if digest is None:
        raise CertificateError("the signature has no digest")
    if isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(child.signature, child.tbs_certificate_bytes, ec.ECDSA(digest))
    elif isinstance(public, rsa.RSAPublicKey):
        scheme = padding.PKCS1v15()
        public.verify(child.signature, child.tbs_certificate_bytes, scheme, digest)
    else:
        raise CertificateError("the issuer's key is neither ECDSA nor RSA")


def _load_der(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except Exception as error:  # beside ValueError the library has classes of its own
        raise CertificateError(f"this is no X.509 certificate: {error}") from error


def _load(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except Exception as error:
        raise CertificateError(f"this is no X.509 certificate: {error}") from error


def _load_key(key: bytes) -> SigningKey:
    try:
        loaded = load_pem_private_key(key, password=None)
    except Exception as error:
        raise CertificateError("this is no unencrypted private key in PEM form") from error
    if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError("the private key is neither ECDSA nor RSA")
    return loaded


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _key_to_pem(key: SigningKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Canonical"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: SigningKey,
    now: datetime | None,
    life: timedelta,
) -> x509.CertificateBuilder:
    moment = now or datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - BACKDATED)
        .not_valid_after(moment + life)
        .add_extension(identifier, critical=False)
    )


def _for_end_entity(
    builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier
) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    return builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(
    issuer: x509.Certificate, issuer_key: SigningKey
) -> x509.AuthorityKeyIdentifier:
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _general_name(name: str) -> x509.GeneralName:
    canonical = canonical_name(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(canonical))
    except ValueError:
        return x509.DNSName(canonical)


def _sign(builder: x509.CertificateBuilder, key: SigningKey, signer: SigningKey) -> KeyPair:
    certificate = builder.sign(signer, hashes.SHA256())
    return KeyPair(certificate.public_bytes(Encoding.PEM), _key_to_pem(key))


def _start(certificate: x509.Certificate) -> datetime:
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    return certificate.not_valid_before.replace(tzinfo=UTC)  # cryptography before 42


def _end(certificate: x509.Certificate) -> datetime:
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=UTC)
