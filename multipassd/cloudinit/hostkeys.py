"""SSH keys: a host key for each instance, made here so that clients can know it, and the one key
that instances let the service and its clients in by."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from multipassd.files import read_regular, write_atomically

KEY_FILE = "ssh-keys/id_ed25519"
KEY_MODE, DIRECTORY_MODE = 0o600, 0o700
MAX_KEY = 16 * 1024  # an OpenSSH key has under 1 KiB


@dataclass(frozen=True)
class SshKey:
    """`private` in OpenSSH's own format; `public` as in known_hosts: "ssh-ed25519 AAAA…"."""

    private: bytes = field(repr=False)
    public: str


def make() -> SshKey:
    return _of(Ed25519PrivateKey.generate())


def ensure(data: Path) -> SshKey:
    """The service's key in its data directory, made at first. Raises OSError, ValueError."""
    path = data / KEY_FILE
    try:
        private = load_ssh_private_key(read_regular(path, MAX_KEY), password=None)
    except FileNotFoundError:
        made = make()
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        write_atomically(path, made.private, KEY_MODE)
        return made
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError(f"{path} holds no Ed25519 key")
    return _of(private)


def _of(key: Ed25519PrivateKey) -> SshKey:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return SshKey(private, public.decode())
