"""X.509 certificates: create root, server and client certificates, load those of others.

Imports `cryptography`, which takes tens of milliseconds: the CLI imports this module only to make
its certificate.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.certificate_check import CertificateError, check
from protocol.pem import CERTIFICATE, body_to_der, der_to_pem

__all__ = ["CertificateError", "check"]

LOCALHOST = "localhost"  # the name that every client verifies, at any address
ROOT_NAME = "Multipass Root CA"

DAY = timedelta(days=1)
BACKDATED = DAY  # a peer whose clock is a little behind must still find the certificate valid
ROOT_LIFE = 3650 * DAY
SERVER_LIFE = 365 * DAY
CLIENT_LIFE = 365 * DAY

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM; the key is unencrypted PKCS#8."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "KeyPair(<certificate and private key>)"  # never a key in a log or a traceback


def make_client(
    now: datetime | None = None, pem: bytes | None = None, life: timedelta = CLIENT_LIFE
) -> KeyPair:
    """A self-signed client certificate for a random, meaningless name; `pem`: for this key
    instead of a new one. Raises CertificateError."""
    import uuid  # slow to import, and rarely needed

    key = load_key(pem) if pem else _new_key()
    name = _subject(str(uuid.uuid4()))
    builder = _builder(name, name, key, now, life)
    builder = _for_end_entity(builder, ExtendedKeyUsageOID.CLIENT_AUTH)
    return _sign(builder, key, key)


def make_root(now: datetime | None = None) -> KeyPair:
    return make_root_for(_key_to_pem(_new_key()), now)


def make_root_for(
    key_pem: bytes, now: datetime | None = None, former: bytes | None = None
) -> KeyPair:
    """A root certificate for a key that exists already. `former`: the one (PEM) that it follows,
    whose name and key identifier it has, so that what it signs fits copies of that, too."""
    key = load_key(key_pem)
    name, identifier = _subject(ROOT_NAME), None
    if former is not None:
        name, identifier = load(former).subject, _own_identifier(load(former))
    builder = _builder(name, name, key, now, ROOT_LIFE, identifier)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return _sign(builder, key, key)


def make_server(root: KeyPair, names: Sequence[str] = (), now: datetime | None = None) -> KeyPair:
    """A server certificate for localhost and the given DNS names or IP literals."""
    issuer = load(root.certificate)
    issuer_key = load_key(root.key)
    key = _new_key()
    builder = _builder(_subject(LOCALHOST), issuer.subject, key, now, SERVER_LIFE)
    builder = _for_end_entity(builder, ExtendedKeyUsageOID.SERVER_AUTH)
    wanted = [_general_name(name) for name in dict.fromkeys((LOCALHOST, *names))]
    builder = builder.add_extension(x509.SubjectAlternativeName(wanted), critical=False)
    # Python's own strict verification asks for the issuer's key identifier.
    identifier = _authority_identifier(issuer, issuer_key)
    builder = builder.add_extension(identifier, critical=False)
    return _sign(builder, key, issuer_key)


def load_der(der: bytes) -> x509.Certificate:
    """Raises CertificateError."""
    try:
        return x509.load_der_x509_certificate(der)
    except Exception as error:  # beside ValueError the library has classes of its own
        raise CertificateError(f"this is no X.509 certificate: {error}") from error


def load(certificate: bytes) -> x509.Certificate:
    """From PEM. Raises CertificateError."""
    try:
        return x509.load_pem_x509_certificate(certificate)
    except Exception as error:
        raise CertificateError(f"this is no X.509 certificate: {error}") from error


def public_keys(pem: bytes) -> list[tuple[bytes, bytes]]:
    """Each certificate in the text as PEM, with its public key in DER. Raises CertificateError."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found = []
    for block in CERTIFICATE.finditer(pem):
        try:
            der = body_to_der(block["body"])
            key = load_der(der).public_key().public_bytes(*form)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise CertificateError(f"this is no certificate with a public key: {error}") from error
        found.append((der_to_pem(der), key))
    if not found:
        raise CertificateError("there is no certificate in the text")
    return found


def load_key(key: bytes) -> SigningKey:
    """Raises CertificateError."""
    try:
        loaded = load_pem_private_key(key, password=None)
    except Exception as error:
        raise CertificateError("this is no unencrypted private key in PEM form") from error
    if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError("the private key is neither ECDSA nor RSA")
    return loaded


def canonical_name(name: str) -> str:
    """A name as `validity.names` returns it: an IPv6 address loses its zone, which means nothing to
    other machines. Raises CertificateError for one that no certificate can hold.
    """
    try:
        return str(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        pass
    try:
        return str(x509.DNSName(name).value)
    except ValueError as error:
        raise CertificateError(f"{name!r} is neither an ASCII host name nor an address") from error


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
    identifier: x509.SubjectKeyIdentifier | None = None,
) -> x509.CertificateBuilder:
    moment = now or datetime.now(UTC)
    identifier = identifier or x509.SubjectKeyIdentifier.from_public_key(key.public_key())
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
    own = _own_identifier(issuer)
    if own is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _own_identifier(certificate: x509.Certificate) -> x509.SubjectKeyIdentifier | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except (ValueError, x509.ExtensionNotFound):
        return None


def _general_name(name: str) -> x509.GeneralName:
    canonical = canonical_name(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(canonical))
    except ValueError:
        return x509.DNSName(canonical)


def _sign(builder: x509.CertificateBuilder, key: SigningKey, signer: SigningKey) -> KeyPair:
    certificate = builder.sign(signer, hashes.SHA256())
    return KeyPair(certificate.public_bytes(Encoding.PEM), _key_to_pem(key))
