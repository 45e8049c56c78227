"""The SSH certificate authority: it signs the client keys that guests let in for minutes.

A guest trusts it by one line of its login user's authorized_keys, which names one principal: this
login user of this instance. A certificate is for one principal, and valid for minutes.

Each end of the validity is compared with the guest's clock. It begins `BACKWARD` seconds ago, as a
guest's clock may be behind, for example after a resume. A guest whose clock is further behind, or
ahead by more than `VALID`, refuses it. A clock that is behind by less makes a certificate last
longer by that much, so no certificate is of use after `VALID` + `BACKWARD` seconds, unless the
guest's clock is set back. If the host's clock steps back, certificates made before last longer by
the step; if it steps forward, guests whose clocks do not follow refuse new ones.

The authority's key is one of RSA, as that is the cheapest to verify: sshd verifies the authority's
signature five times in a log-in. In an emulated guest a log-in by a certificate of an RSA authority
costs 1.1 times the processor time of one by a key, of an Ed25519 authority 1.5 times.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_private_key,
    load_ssh_public_key,
)

from multipassd.cloudinit.ssh_keys import KeptKey
from multipassd.cloudinit.userdata import USER
from protocol.errors import MalformedRequest

KEY_FILE = "ssh-keys/authority_rsa"
COMMENT = "multipass-certificates"  # ends each line of ours in a guest's authorized_keys
OURS = re.compile(rf"cert-authority,principals=\"[^\"\s]+\" ssh-[a-z0-9]+ [\w+/=]+ {COMMENT}")
VALID = 300  # seconds from now; the log-in takes one, and a busy emulated guest may take thirty
BACKWARD = 300  # seconds before now
MAX_KEY_ID = 200  # characters; sshd writes it into one line of its log
MAX_PUBLIC = 200  # characters of a client's key; one of Ed25519 has 80
# What exec, shell and transfer need. Without the others sshd refuses forwarding, and reads no
# ~/.ssh/rc.
EXTENSIONS = (b"permit-pty",)


class Guest(Protocol):
    """What of an instance's record a principal is made of."""

    @property
    def instance_id(self) -> str: ...
    @property
    def ssh_user(self) -> str: ...


class Login(NamedTuple):
    """The same, of an instance that has no record yet."""

    instance_id: str
    ssh_user: str = ""


def principal(guest: Guest) -> str:
    """Names one login user of one instance, in characters that need no quoting in a line."""
    return f"{quote(guest.ssh_user or USER, safe='')}@{quote(guest.instance_id, safe='')}"


class SshAuthority:
    """Issues certificates by a key that is made at the first need."""

    def __init__(self, data: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept = KeptKey(
            data / KEY_FILE,
            "The key of the SSH certificate authority",
            "Please mend or restore it. If it is removed, the service makes another one, and "
            "instances are reached by the shared key until they trust that.",
            is_rsa=True,
        )
        self._signing: RSAPrivateKey | None = None

    @property
    def path(self) -> Path:
        return self._kept.path

    @property
    def public(self) -> str:
        """As in known_hosts: "ssh-rsa AAAA…". Raises StorageFailed."""
        return self._kept.key.public

    def line(self, guest: Guest) -> str:
        """For the authorized_keys of the guest's login user. Raises StorageFailed."""
        return f'cert-authority,principals="{principal(guest)}" {self.public} {COMMENT}'

    def certify(self, public: str, guest: Guest, key_id: str) -> str:
        """A certificate for a client's key, in the form of an id_ed25519-cert.pub. `key_id` is
        what sshd's log calls the client. Raises MalformedRequest, StorageFailed."""
        import secrets  # slow to import, and rarely needed

        now = int(self._clock())
        builder = (
            SSHCertificateBuilder()
            .public_key(_client_key(public))
            .type(SSHCertificateType.USER)
            .serial(secrets.randbits(63))
            .key_id(_one_line(key_id).encode())
            .valid_principals([principal(guest).encode()])
            .valid_after(max(now - BACKWARD, 0))
            .valid_before(now + VALID)
        )
        for extension in EXTENSIONS:
            builder = builder.add_extension(extension, b"")
        if self._signing is None:
            key = load_ssh_private_key(self._kept.key.private, password=None)
            assert isinstance(key, RSAPrivateKey)
            self._signing = key
        return builder.sign(self._signing).public_bytes().decode()


def _client_key(public: str) -> Ed25519PublicKey:
    """Raises MalformedRequest."""
    try:
        if len(public) > MAX_PUBLIC:
            raise ValueError
        key = load_ssh_public_key(public.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise MalformedRequest("the client's SSH key is no Ed25519 key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise MalformedRequest("the client's SSH key is no Ed25519 key")
    return key


def _one_line(text: str) -> str:
    """Fit for a log: printable, of bounded length."""
    return "".join(char if char.isprintable() else "?" for char in text)[:MAX_KEY_ID]
