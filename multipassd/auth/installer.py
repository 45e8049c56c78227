"""Enrol the user who installs, on hosts whose daemon listens on TCP only."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from multipassd.audit.record import Actor
from multipassd.audit.trail import Audit
from multipassd.auth.run_as_user import LIMIT, HomeError, run_as
from protocol import certificates, client_certificate, places
from protocol.pem import fingerprint, pem_to_der

HOW = "installer"


class InstallerError(Exception):
    """The user was not enrolled; the text is a sentence."""


class Store(Protocol):
    """What is needed of the trust store."""

    def add(self, der: bytes, how: str, uid: int | None, name: str = "") -> bool: ...


def enrol_installer(user: str, store: Store, environ: Mapping[str, str], audit: Audit) -> str:
    """Makes the user's client certificate if there is none, and has it trusted, on record.

    Returns what was done. Raises InstallerError, or what the store raises.
    """
    account = account_of(user)
    directory = Path(_directory(account, environ))
    der = certificate_of(account, directory)
    if store.add(der, HOW, account.pw_uid, user):
        audit.granted(fingerprint(der), Actor(uid=account.pw_uid), HOW)
        return f"The client of {user} is now authenticated."
    return f"The client of {user} was authenticated already."


def certificate_of(account: pwd.struct_passwd, directory: Path, make: bool = True) -> bytes:
    """The user's client certificate in `directory`, DER; with `make` made if there is none.

    Raises InstallerError.
    """
    user = account.pw_name
    try:
        pem = run_as(account, lambda: _certificate_in(directory, make))
    except HomeError as error:
        raise InstallerError(f"{user} was not enrolled. {error}") from error
    return _checked(pem, user, directory)


def account_of(user: str) -> pwd.struct_passwd:
    """Raises InstallerError."""
    try:
        return pwd.getpwnam(user)
    except (KeyError, ValueError):
        raise InstallerError(f"There is no user called {user!r} here.") from None


def _directory(account: pwd.struct_passwd, environ: Mapping[str, str]) -> str:
    # Of root's environment only counts whether this is the snap: the rest is root's own places.
    own = {key: value for key, value in environ.items() if key == "SNAP_NAME"}
    return places.client_certificate_directory(own, account.pw_dir)


def _certificate_in(directory: Path, make: bool) -> bytes:
    """Runs as the user."""
    certificate = directory / client_certificate.CERTIFICATE
    if make:
        client_certificate.ensure(directory)
    descriptor = os.open(certificate, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(certificate))
        return file.read(LIMIT)


def _checked(pem: bytes, user: str, directory: Path) -> bytes:
    try:
        der = pem_to_der(pem)
        certificates.check(der)
    except ValueError as error:
        raise InstallerError(
            f"{user} was not enrolled: {directory / client_certificate.CERTIFICATE} holds no "
            f"certificate. Remove it and {client_certificate.KEY}, and the next attempt makes a "
            "new pair."
        ) from error
    return der
