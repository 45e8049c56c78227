"""SSH keys made, read, written by `cryptography`: `ssh_keys.py` loads this with the first one."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

OPENSSH = b"OPENSSH PRIVATE KEY"  # of a file in OpenSSH's own format; else it is PEM
RSA_EXPONENT, RSA_BITS = 65537, 3072
Halves = tuple[bytes, str]  # private and public, as in `SshKey`


def make() -> Halves:
    return _halves(Ed25519PrivateKey.generate())


def make_rsa() -> Halves:
    """Takes a tenth of a second and more."""
    return _halves(rsa.generate_private_key(RSA_EXPONENT, RSA_BITS))


def read(text: bytes, *, is_rsa: bool) -> Halves:
    """A private key in OpenSSH's format. Raises ValueError."""
    private = load_ssh_private_key(text, password=None)
    if is_rsa and isinstance(private, RSAPrivateKey):
        return _halves(private)
    if is_rsa or not isinstance(private, Ed25519PrivateKey):
        raise ValueError(f"it is no {'RSA' if is_rsa else 'Ed25519'} key")
    return _halves(private)


def public_of(text: bytes) -> str:
    """Of a private key of any kind and form; empty where it can't be told."""
    load = load_ssh_private_key if OPENSSH in text else load_pem_private_key
    try:
        key = load(text, password=None)
        return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
        return ""


def _halves(key: Ed25519PrivateKey | RSAPrivateKey) -> Halves:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private, public.decode()
