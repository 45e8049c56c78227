"""The client's own certificate and key: read from its directory, created if both are missing.

Imports only what the CLI has loaded anyway; `protocol.certificates` comes in when a pair is made.
Without pathlib, which would cost each command milliseconds.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    Place = TypeVar("Place", str, Path)

CERTIFICATE = "multipass_cert.pem"
KEY = "multipass_cert_key.pem"

KEY_MODE = 0o600
CERTIFICATE_MODE = 0o644
DIRECTORY_MODE = 0o700
OTHERS = 0o077  # mode bits that give group and others access to the key


class HalfMissing(OSError):
    """One file of the pair is missing. A new pair would replace the other, so none is made.

    `filename` is the missing file, `kept` the other, `why` and `hint` are sentences.
    """

    def __init__(self, missing: str, kept: str) -> None:
        self.kept = kept
        self.why = f"it is missing. {kept} was kept."
        self.hint = (
            "Restore the missing file from a copy, or remove both to get a new identity, "
            "which has to be authenticated again."
        )
        super().__init__(errno.ENOENT, f"{self.why} {self.hint}", missing)


def ensure(directory: Place) -> tuple[Place, Place]:
    """The paths of the certificate and of its key, which exist when this returns.

    An existing pair is used as it is, except that its key is closed to others. Programs
    that start at the same time end up with the same pair. Raises OSError, HalfMissing if only
    one of the two files is there.
    """
    base = os.fspath(directory)
    certificate, key = os.path.join(base, CERTIFICATE), os.path.join(base, KEY)
    if not _complete(certificate, key):
        _make_directory(base)
        _make_once(base, certificate, key)
    _close_to_others(key)
    kind = type(directory)
    return kind(certificate), kind(key)


def _complete(certificate: str, key: str) -> bool:
    # In this order: the certificate is put in place last, so where it is there, so is its key.
    return os.path.exists(certificate) and os.path.exists(key)


def _make_directory(base: str) -> None:
    os.makedirs(os.path.dirname(base) or ".", exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(base, DIRECTORY_MODE)


def _make_once(base: str, certificate: str, key: str) -> None:
    directory = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a home on a network may have no locks: go on without
            fcntl.flock(directory, fcntl.LOCK_EX)
        if not _complete(certificate, key):  # another program may have been first
            _refuse_half(certificate, key)
            _make(certificate, key)
            os.fsync(directory)
    finally:
        os.close(directory)  # and with it the lock


def _refuse_half(certificate: str, key: str) -> None:
    """Under the lock: without it, a pair that another program is making looks like a half."""
    for kept, missing in ((key, certificate), (certificate, key)):
        if os.path.lexists(kept):  # a symbolic link, too: what it leads to may come back
            raise HalfMissing(missing, kept)


def _make(certificate: str, key: str) -> None:
    from protocol import certificates

    pair = certificates.make_client()
    write(key, pair.key, KEY_MODE)
    try:
        write(certificate, pair.certificate, CERTIFICATE_MODE)
    except BaseException:
        with suppress(OSError):
            os.unlink(key)  # made just now, and never used
        raise


def write(path: str, data: bytes, mode: int) -> None:
    """Durable but for its name: a file is renamed, so that readers never see a part of it.
    Raises OSError."""
    temporary = f"{path}.{os.getpid()}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary)  # left by a process of that number that was killed
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, KEY_MODE), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _close_to_others(key: str) -> None:
    if os.stat(key).st_mode & OTHERS:
        with suppress(OSError):  # another user's file, which this user may be allowed to read
            os.chmod(key, KEY_MODE)
