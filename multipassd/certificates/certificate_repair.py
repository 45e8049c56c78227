"""The daemon's root and server certificates, looked at closely: created, repaired and renewed.

Loads `cryptography`: `server_certificate.py` does so only if need be.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from multipassd.certificates import certificate_checks
from multipassd.certificates.certificate_files import (
    CERTIFICATE,
    FORMER_ROOT,
    KEY,
    PUBLIC_MODE,
    ROOT_KEY,
    SECRET_MODE,
    CertificateFiles,
)
from multipassd.system import log
from protocol import certificates
from protocol.certificates import CertificateError, KeyPair

RENEW_BEFORE = timedelta(days=30)
# The time that clients with a copy have to follow: ours look once a week, if they are used at all.
RENEW_ROOT_BEFORE = timedelta(days=365)

_log = log.get("identity")


class CertificateRepair:
    """Of the files, at one moment. What can't be saved is in their `problems`."""

    def __init__(self, files: CertificateFiles, now: datetime) -> None:
        self._files = files
        self._now = now

    def root(self) -> KeyPair:
        certificate, key = (
            self._files.read(self._files.root_certificate),
            self._files.read_secret(ROOT_KEY),
        )
        if not certificate_checks.key_is_sound(key):
            root = certificates.make_root(self._now)
            self._files.write(self._files.directory / ROOT_KEY, root.key, SECRET_MODE)
        elif self._is_good_root(certificate, key):
            self._files.let_clients_read()
            return KeyPair(certificate, key)
        else:
            root = self._renewed(certificate, key)
        _log.info("made a new root certificate: %s", self._files.root_certificate)
        self._files.write(self._files.root_certificate, root.certificate, PUBLIC_MODE)
        self._files.let_clients_read()
        return root

    def _renewed(self, certificate: bytes, key: bytes) -> KeyPair:
        if not self._is_root(certificate, key):
            return certificates.make_root_for(key, self._now)
        former = self._files.directory / FORMER_ROOT
        if certificate_checks.valid_at(certificate, self._now):
            self._files.write(former, certificate, PUBLIC_MODE)
        return certificates.make_root_for(key, self._now, certificate)

    def server(self, root: KeyPair, names: Sequence[str]) -> KeyPair:
        server = KeyPair(
            self._files.read(self._files.directory / CERTIFICATE), self._files.read_secret(KEY)
        )
        if self._is_good_server(server, root, names):
            return server
        server = certificates.make_server(root, names, self._now)
        _log.info("made a new server certificate: %s", self._files.directory / CERTIFICATE)
        # A crash between the two leaves a pair that does not match, which the next start repairs.
        self._files.write(self._files.directory / KEY, server.key, SECRET_MODE)
        self._files.write(self._files.directory / CERTIFICATE, server.certificate, PUBLIC_MODE)
        return server

    def usable(self, names: Sequence[str]) -> list[str]:
        usable = []
        for name in names:
            try:
                usable.append(certificates.canonical_name(name))
            except CertificateError as error:
                self._files.problems.append(f"The server's certificate leaves out a name: {error}.")
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

    @staticmethod
    def good_until(root: KeyPair, server: KeyPair) -> datetime:
        """From then on one of the two is to be renewed."""
        end = certificate_checks.pem_not_after
        return min(
            end(root.certificate) - RENEW_ROOT_BEFORE, end(server.certificate) - RENEW_BEFORE
        )

    @staticmethod
    def not_after(server: KeyPair) -> datetime:
        return certificate_checks.pem_not_after(server.certificate)
