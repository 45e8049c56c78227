"""Client certificates of every kind that lives in the field."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import NameOID

from protocol.certificates import KeyPair


def rsa_pair() -> KeyPair:
    return _self_signed(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def ed25519_pair() -> KeyPair:
    return _self_signed(ed25519.Ed25519PrivateKey.generate())


def expired_pair() -> KeyPair:
    return _self_signed(ed25519.Ed25519PrivateKey.generate(), days=-1)


def large_pair(size: int) -> KeyPair:
    """A certificate of a little more than `size` bytes."""
    comment = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(size))
    return _self_signed(ed25519.Ed25519PrivateKey.generate(), extension=comment)


def version_1_pair(folder: Path) -> KeyPair:
    """X.509 v1, which only the openssl command still makes."""
    key, request, certificate = (folder / name for name in ("v1.key", "v1.csr", "v1.pem"))
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request,
             "-subj", "/CN=version 1", "-config", "/dev/null")  # fmt: skip
    _openssl("x509", "-req", "-in", request, "-signkey", key, "-days", "9", "-out", certificate)
    pair = KeyPair(certificate.read_bytes(), key.read_bytes())
    assert x509.load_pem_x509_certificate(pair.certificate).version is x509.Version.v1
    return pair


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def _self_signed(
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    days: int = 9,
    extension: x509.UnrecognizedExtension | None = None,
) -> KeyPair:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a client")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
    )
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    algorithm = hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None
    return KeyPair(
        builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
