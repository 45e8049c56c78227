"""SSH keys: a host key for each instance, made here so that clients can know it, and the one key
that instances let the service and its clients in by."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from multipassd.system.files import read_regular, write_atomically
from protocol.errors import StorageFailed

KEY_FILE = "ssh-keys/id_ed25519"
KEY_MODE, DIRECTORY_MODE = 0o600, 0o700
OPENSSH = b"OPENSSH PRIVATE KEY"  # of a file in OpenSSH's own format; else it is PEM
MAX_KEY = 16 * 1024  # an OpenSSH key has under 1 KiB


@dataclass(frozen=True)
class SshKey:
    """`private` in OpenSSH's own format; `public` as in known_hosts: "ssh-ed25519 AAAA…"."""

    private: bytes = field(repr=False)
    public: str


def make() -> SshKey:
    return _of(Ed25519PrivateKey.generate())


class KeptKey:
    """A key in a file, made at the first need, so that a data directory without room or rights
    blocks no other call. `what` and `advice` are for the error: what it is, and what to do."""

    def __init__(self, path: Path, what: str, advice: str) -> None:
        self.path = path
        self._what = what
        self._advice = advice
        self._known: SshKey | None = None
        self._lock = threading.Lock()  # two first launches are in threads of their own

    @property
    def key(self) -> SshKey:
        """Raises StorageFailed."""
        with self._lock:
            if self._known is None:
                self._known = self._read_or_make()
            return self._known

    def _read_or_make(self) -> SshKey:
        try:
            return _read_or_make(self.path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise StorageFailed(
                f"{self._what}, {self.path}, can't be used: {why}. {self._advice}"
            ) from None


class ServiceKey:
    """The one key by which instances let the service and its clients in."""

    def __init__(self, data: Path) -> None:
        self._kept = KeptKey(
            data / KEY_FILE,
            "The key that instances are reached by",
            "Please mend or restore it: running instances know no other.",
        )

    @property
    def path(self) -> Path:
        return self._kept.path

    @property
    def private(self) -> bytes:
        """Raises StorageFailed."""
        return self._kept.key.private

    @property
    def public(self) -> str:
        """Raises StorageFailed."""
        return self._kept.key.public

    def private_of(self, name: str) -> bytes:
        """The private key in the file of this name beside the service's own, which is that of an
        empty name. Raises StorageFailed."""
        if not name:
            return self.private
        path = self.path.with_name(name)
        try:
            return read_regular(path, MAX_KEY)
        except OSError as error:
            raise StorageFailed(
                f"The key that instances of Multipass 1.16 are reached by, {path}, can't be read: "
                f"{error.strerror}. Please restore it, from 1.16's ssh-keys/id_rsa or a backup."
            ) from None

    def public_of(self, name: str) -> str:
        """The public key of the same; empty where it can't be told. Raises StorageFailed."""
        if not name:
            return self.public
        data = self.private_of(name)
        load = load_ssh_private_key if OPENSSH in data else load_pem_private_key
        try:
            key = load(data, password=None)
            return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        except (ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
            return ""


def _read_or_make(path: Path) -> SshKey:
    try:
        private = load_ssh_private_key(read_regular(path, MAX_KEY), password=None)
    except FileNotFoundError:
        made = make()
        path.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        write_atomically(path, made.private, KEY_MODE)
        return made
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError("it is no Ed25519 key")
    return _of(private)


def _of(key: Ed25519PrivateKey) -> SshKey:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return SshKey(private, public.decode())
