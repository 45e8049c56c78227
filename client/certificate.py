"""This client's certificate and key: locate them, create them when a command needs them.

A renewed certificate has the same key, so the directory may hold several that fit it: the one that
1.16 reads, one that is about to take its place, and earlier ones, which a service may still know.
"""

from __future__ import annotations

import posix
import sys

from client import messages
from client.errors import CommandFailed

CERTIFICATE = "multipass_cert.pem"
KEY = "multipass_cert_key.pem"
PENDING = f"{CERTIFICATE}.new"  # made for a renewal, and perhaps trusted in the place of the other
# The newest first. Renewals are about a year apart: a service that was not used for nine years, or
# renews none, as that of 1.16, knows this client no more after so many renewals elsewhere.
EARLIER = tuple(f"{CERTIFICATE}.{number}" for number in range(1, 10))
FORMAT, REGULAR = 0o170000, 0o100000  # of a mode; `stat` would be one more module to load
OTHERS = 0o077  # mode bits that Multipass 1.16 leaves on its key; they are removed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

Identity = tuple[str, str]  # paths of the certificate and of the key


def existing(directory: str) -> Identity | None:
    """The existing files; creates nothing. Raises CommandFailed if one is not a regular file: TLS
    would block on a FIFO."""
    identity = f"{directory}/{CERTIFICATE}", f"{directory}/{KEY}"
    for path in identity:
        try:
            mode = posix.stat(path).st_mode
        except (OSError, ValueError):
            return None
        if not is_regular(mode):
            why = messages.NOT_REGULAR
            hint = messages.bad_certificate_hint(directory)
            raise CommandFailed(messages.bad_certificate(path, why), hint)
    return identity


def ensure(directory: str) -> Identity:
    """The existing files, or new ones. Raises CommandFailed."""
    found = existing(directory)
    if found is not None and not posix.stat(found[1]).st_mode & OTHERS:
        return found
    add_site_packages()
    try:
        from protocol import client_certificate

        try:
            certificate, key = client_certificate.ensure(directory)
        except client_certificate.HalfMissing as error:
            path = str(error.filename)
            raise CommandFailed(messages.bad_certificate(path, error.why), error.hint) from error
    except ImportError as error:
        why = messages.NO_CRYPTOGRAPHY
        raise CommandFailed(
            messages.no_certificate(directory, why), messages.NO_CRYPTOGRAPHY_HINT
        ) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise CommandFailed(
            messages.no_certificate(directory, why), messages.NO_CERTIFICATE_HINT
        ) from error
    return str(certificate), str(key)


def stamp(identity: Identity) -> tuple[int, int]:
    """Changes when another certificate takes the place of this one."""
    try:
        status = posix.stat(identity[0])
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def others(identity: Identity, presented: tuple[int, int]) -> Iterator[Identity]:
    """What else a service may know this client by, after it has refused the certificate that had
    the stamp `presented`. Looks at each as it comes to it: another command may be renewing."""
    if stamp(identity) != presented:
        yield identity
    directory = identity[0].rpartition("/")[0]
    for name in (PENDING, *EARLIER):
        path = f"{directory}/{name}"
        if _is_file(path):
            yield path, identity[1]


def is_regular(mode: int) -> bool:
    """Whether that is the mode of a regular file."""
    return mode & FORMAT == REGULAR


def _is_file(path: str) -> bool:
    try:
        return is_regular(posix.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def add_site_packages() -> None:
    """Makes `cryptography` importable: the launcher starts without site-packages, which is faster.

    A snap has its own in its tree, a checkout in .venv; installed by a deb, they are the system's.
    """
    import os

    tree = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for own in (f"{tree}/site-packages", f"{tree}/.venv/lib/{version}/site-packages"):
        if os.path.isdir(own):
            if own not in sys.path:
                sys.path.append(own)
            return
    if "site" not in sys.modules:
        import site

        site.main()
