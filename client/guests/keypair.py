"""A key pair for one log-in, in the memory of this process only.

libcrypto makes it, which the TLS connection has loaded anyway: with ctypes that takes 2 ms of a
start, importing cryptography 7 ms and 11 ms more where site-packages must be found first, and
ssh-keygen 4 ms, but it writes files.
"""

from __future__ import annotations

import binascii

LIBCRYPTO = "libcrypto.so.3"  # of OpenSSL 3, which has the functions below
KIND = b"ssh-ed25519"
SIZE = 32  # bytes of each half
MAGIC = b"openssh-key-v1\0"
BLOCK = 8  # to whose multiple the private part is filled up
PEM = b"-----BEGIN OPENSSH PRIVATE KEY-----\n%b-----END OPENSSH PRIVATE KEY-----\n"


class KeyPair:
    """`public` as in an authorized_keys file, `private` as ssh reads it from a file."""

    def __init__(self, secret: bytes, public: bytes) -> None:
        half = _text(KIND) + _text(public)
        self.public = f"{KIND.decode()} {binascii.b2a_base64(half, newline=False).decode()}"
        # Two numbers that must be equal tell ssh that it has decrypted an encrypted key.
        inner = bytes(8) + half + _text(secret + public) + _text(b"")
        inner += bytes(range(1, -len(inner) % BLOCK + 1))
        none = _text(b"none")
        whole = MAGIC + none + none + _text(b"") + _number(1) + _text(half) + _text(inner)
        self.private = PEM % binascii.b2a_base64(whole)


def make() -> KeyPair:
    """Raises ImportError where neither libcrypto is found nor cryptography installed."""
    try:
        return KeyPair(*_by_libcrypto())
    except (AttributeError, OSError, ImportError, ValueError):
        return KeyPair(*_by_cryptography())


def _by_libcrypto() -> tuple[bytes, bytes]:
    """Both halves. Raises AttributeError, OSError, ImportError, ValueError where it is another."""
    import ctypes

    crypto = ctypes.CDLL(LIBCRYPTO)
    crypto.EVP_PKEY_Q_keygen.restype = ctypes.c_void_p
    key = ctypes.c_void_p(crypto.EVP_PKEY_Q_keygen(None, None, b"ED25519"))
    if not key:
        raise ValueError
    try:
        halves = []
        for read in (crypto.EVP_PKEY_get_raw_private_key, crypto.EVP_PKEY_get_raw_public_key):
            buffer, size = ctypes.create_string_buffer(SIZE), ctypes.c_size_t(SIZE)
            if read(key, buffer, ctypes.byref(size)) != 1 or size.value != SIZE:
                raise ValueError
            halves.append(buffer.raw)
    finally:
        crypto.EVP_PKEY_free(key)
    return halves[0], halves[1]


def _by_cryptography() -> tuple[bytes, bytes]:
    """Both halves. Raises ImportError."""
    from client.certificate import add_site_packages

    add_site_packages()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    return key.private_bytes_raw(), key.public_key().public_bytes_raw()


def _text(data: bytes) -> bytes:
    return _number(len(data)) + data


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big")
