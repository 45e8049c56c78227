"""The daemon's root and server certificates: created, repaired and renewed.

A root that is in order is kept, 1.16's too, since clients elsewhere may hold copies of it. A year
before it ends it is issued anew, with the same key and name, so that copies go on fitting until
they end. The former one is kept, so that `multipass-trust check` can say until when that is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from multipassd.auth import certificate_checks
from multipassd.system import log
from multipassd.system.files import read_regular, write_atomically
from protocol import certificates
from protocol.certificates import CertificateError, KeyPair

CERTIFICATE = "localhost.pem"
KEY = "localhost_key.pem"
ROOT_KEY = "localhost_root_key.pem"

FORMER_ROOT = "localhost_former_root.pem"  # of this project: 1.16 does not look for it

RENEW_BEFORE = timedelta(days=30)
# The time that clients with a copy have to follow: ours look once a week, if they are used at all.
RENEW_ROOT_BEFORE = timedelta(days=365)
MAX_FILE = 64 << 10  # a certificate with a key is some 2 KiB
SECRET_MODE = 0o600
PUBLIC_MODE = 0o644
SECRET_DIRECTORY_MODE = 0o700
PUBLIC_DIRECTORY_MODE = 0o755
PASSAGE = 0o011  # lets everybody reach a file whose name they know, but list nothing

_log = log.get("identity")


@dataclass(frozen=True)
class Identity:
    """What the daemon shows to clients, PEM. `problem` says what could not be kept on disk."""

    certificate: bytes
    key: bytes
    not_after: datetime
    root: bytes  # what clients verify it against
    problem: str = ""

    def __repr__(self) -> str:
        return f"Identity(not_after={self.not_after}, problem={self.problem!r})"


def ensure(data: Path, root_certificate: Path, names: Sequence[str], now: float) -> Identity:
    """The daemon's identity, good for more than RENEW_BEFORE; cheap when all is in order.

    Never raises for what is wrong on disk: an identity that could not be saved serves all the same.
    """
    place = _Place(data, root_certificate, datetime.fromtimestamp(now, UTC))
    root = place.root()
    server = place.server(root, place.usable(names))
    return Identity(
        server.certificate,
        server.key,
        certificate_checks.pem_not_after(server.certificate),
        root.certificate,
        " ".join(dict.fromkeys(place.problems)),
    )


class _Place:
    """The files, at one moment."""

    def __init__(self, data: Path, root_certificate: Path, now: datetime) -> None:
        self._data = data
        self._directory = data / "certificates"
        self._root_certificate = root_certificate
        self._now = now
        self.problems: list[str] = []

    def root(self) -> KeyPair:
        certificate, key = self._read(self._root_certificate), self._read_secret(ROOT_KEY)
        if not certificate_checks.key_is_sound(key):
            root = certificates.make_root(self._now)
            self._write(self._directory / ROOT_KEY, root.key, SECRET_MODE)
        elif self._is_good_root(certificate, key):
            self._let_clients_read()
            return KeyPair(certificate, key)
        else:
            root = self._renewed(certificate, key)
        _log.info("made a new root certificate: %s", self._root_certificate)
        self._write(self._root_certificate, root.certificate, PUBLIC_MODE)
        self._let_clients_read()
        return root

    def _renewed(self, certificate: bytes, key: bytes) -> KeyPair:
        if not self._is_root(certificate, key):
            return certificates.make_root_for(key, self._now)
        former = self._directory / FORMER_ROOT
        if certificate_checks.valid_at(certificate, self._now):
            self._write(former, certificate, PUBLIC_MODE)
        return certificates.make_root_for(key, self._now, certificate)

    def server(self, root: KeyPair, names: Sequence[str]) -> KeyPair:
        server = KeyPair(self._read(self._directory / CERTIFICATE), self._read_secret(KEY))
        if self._is_good_server(server, root, names):
            return server
        server = certificates.make_server(root, names, self._now)
        _log.info("made a new server certificate: %s", self._directory / CERTIFICATE)
        # A crash between the two leaves a pair that does not match, which the next start repairs.
        self._write(self._directory / KEY, server.key, SECRET_MODE)
        self._write(self._directory / CERTIFICATE, server.certificate, PUBLIC_MODE)
        return server

    def usable(self, names: Sequence[str]) -> list[str]:
        usable = []
        for name in names:
            try:
                usable.append(certificates.canonical_name(name))
            except CertificateError as error:
                self.problems.append(f"The server's certificate leaves out a name: {error}.")
        return usable

    @staticmethod
    def _is_root(certificate: bytes, key: bytes) -> bool:
        return certificate_checks.matches(certificate, key) and certificate_checks.is_authority(
            certificate
        )

    def _is_good_root(self, certificate: bytes, key: bytes) -> bool:
        return self._is_root(certificate, key) and self._is_current(certificate, RENEW_ROOT_BEFORE)

    def _is_good_server(self, server: KeyPair, root: KeyPair, names: Sequence[str]) -> bool:
        return (
            certificate_checks.matches(server.certificate, server.key)
            and certificate_checks.is_issued_by(server.certificate, root.certificate)
            and self._is_current(server.certificate, RENEW_BEFORE)
            and self._covers(server.certificate, names)
        )

    def _is_current(self, certificate: bytes, renewed_before: timedelta) -> bool:
        """Also False when it is not valid yet: a clock that was ahead made it, or went back."""
        return certificate_checks.valid_at(certificate, self._now) and certificate_checks.valid_at(
            certificate, self._now + renewed_before
        )

    @staticmethod
    def _covers(certificate: bytes, names: Sequence[str]) -> bool:
        try:
            return certificate_checks.names(certificate) >= {certificates.LOCALHOST, *names}
        except CertificateError:
            return False

    def _read_secret(self, name: str) -> bytes:
        path = self._directory / name
        data = self._read(path)
        with suppress(OSError):
            if data and path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                path.chmod(SECRET_MODE)
        return data

    def _read(self, path: Path) -> bytes:
        """Empty when there is nothing to rely on."""
        try:
            status = path.lstat()
            if status.st_uid not in {0, os.geteuid()} or status.st_mode & stat.S_IWOTH:
                _log.warning("%s is not used: others than root may have written it", path)
                return b""
            return read_regular(path, MAX_FILE)
        except FileNotFoundError:
            return b""
        except OSError as error:
            _log.warning("%s can't be read: %s", path, error.strerror or error)
            return b""

    def _write(self, path: Path, data: bytes, mode: int) -> None:
        secret = path.parent == self._directory
        try:
            _make_directories(
                path.parent, SECRET_DIRECTORY_MODE if secret else PUBLIC_DIRECTORY_MODE
            )
            write_atomically(path, data, mode)
        except OSError as error:
            self.problems.append(
                f"The daemon's certificate could not be saved, so clients may not accept it: "
                f"{path}: {error.strerror or error}."
            )

    def _let_clients_read(self) -> None:
        """Clients of all users read the root certificate, in the data directory if need be: in the
        snap, where the directory above that is ours, too."""
        with suppress(OSError):
            _open(self._root_certificate, PUBLIC_MODE)
            if self._root_certificate.parent == self._data:  # in the snap
                for directory in (self._data, self._data.parent):
                    _open(directory, PASSAGE)
                _open(self._data.parent, PASSAGE)


def _open(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & bits != bits:
        path.chmod(mode | bits)


def _make_directories(path: Path, mode: int) -> None:
    """Like mkdir -p, but the umask has no say in the modes of what is made."""
    if path.is_dir():
        return
    _make_directories(path.parent, mode | PASSAGE)
    with suppress(FileExistsError):
        path.mkdir(mode)
        path.chmod(mode)
