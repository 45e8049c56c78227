"""What the daemon knows of the Incus cluster that it has joined, and where that is kept.

`membership.json` is the file of record. It names a directory beside it with the pinned certificate
of the server, our own certificate and its key, so that one rename takes all of them to the next
state: after a kill the former membership holds as a whole, or the new one does.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from multipassd.drivers.incus.api import addresses
from multipassd.drivers.incus.api.errors import IncusError
from multipassd.models import checks
from multipassd.models.invalid import Invalid
from multipassd.models.model import Model
from multipassd.system.files import (
    make_directory,
    read_regular,
    sync_directory,
    write_atomically,
    write_new,
)
from protocol.errors import StorageFailed
from protocol.status import Status

FILE = "membership.json"
DAEMON = "daemon-id"  # a file of its own: it outlives memberships, as instances are tagged with it
OWNER_TAG = "user.multipass.daemon"  # the config key of instances that has it
SERVER, CERTIFICATE, KEY = "server.crt", "client.crt", "client.key"
SECRET_MODE = 0o600
DIRECTORY_MODE = 0o700
UNDER_WAY_SECONDS = 600.0  # more than a join takes
MAX_FILE = 64 << 10  # of 64 addresses; a certificate has some 2 KiB

PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # what Incus takes, without a slash
FINGERPRINT = re.compile(r"[0-9a-f]{64}")  # SHA-256
_DAEMON = re.compile(r"[0-9a-f]{16,64}")
_CREDENTIALS = re.compile(r"credentials-[0-9a-f]{16}")

_writing = threading.Lock()


def _fits(pattern: re.Pattern[str]) -> object:
    return lambda text: bool(pattern.fullmatch(text))


class MembershipDamaged(IncusError):
    """A file of the membership is lost or damaged."""

    status = Status.DATA_LOSS


class Membership(Model):
    """Of one cluster, with one certificate of ours, for one project."""

    addresses: tuple[Annotated[str, addresses.is_address], ...]  # host:port of the members
    fingerprint: Annotated[str, _fits(FINGERPRINT)]  # of the server's certificate
    project: Annotated[str, _fits(PROJECT)]
    daemon: Annotated[str, _fits(_DAEMON)]  # this daemon's id, in the owner tags of its instances
    client: Annotated[str, checks.at_most_long(256)]  # the name of our certificate at the cluster
    credentials: Annotated[str, _fits(_CREDENTIALS)]  # the directory of certificates and key
    clustered: bool = True


def file(directory: Path) -> Path:
    return directory / FILE


def credentials(membership: Membership, directory: Path) -> Path:
    """Where SERVER, CERTIFICATE and KEY are."""
    return directory / membership.credentials


def joined(directory: Path) -> bool:
    """Is there a membership? Its content is not looked at."""
    return os.path.lexists(file(directory))


def read(directory: Path) -> Membership | None:
    """None where no cluster was joined. Raises MembershipDamaged."""
    try:
        found = Membership.from_json(read_regular(file(directory), MAX_FILE))
        for name in (SERVER, CERTIFICATE, KEY):
            read_regular(credentials(found, directory) / name, MAX_FILE)
    except FileNotFoundError as error:
        if error.filename == str(file(directory)) and not joined(directory):
            return None
        raise _damaged(f"{error.filename} is missing") from None
    except OSError as error:
        where = error.filename or file(directory)
        raise _damaged(f"{where} can't be read: {error.strerror or error}") from None
    except Invalid as error:
        raise _damaged(f"{file(directory)} is damaged: {error}") from None
    return found


def _damaged(why: str) -> MembershipDamaged:
    return MembershipDamaged(
        f"The membership of the Incus cluster can't be used: {why}. Restore the file from a "
        "backup, or join again: on a member `incus config trust add NAME --restricted --projects "
        "PROJECT`, here `multipass set local.incus.token`. Instances on the cluster stay."
    )


def write(membership: Membership, directory: Path) -> None:
    """Durable when this returns. Raises StorageFailed, and then nothing has changed."""
    with _writing:
        _write(membership, directory)


def keep_addresses(membership: Membership, directory: Path) -> None:
    """The same with other addresses, unless the daemon has joined anew since. Raises
    StorageFailed."""
    with _writing:
        if named(directory) == membership.credentials:
            _write(membership, directory)


def _write(membership: Membership, directory: Path) -> None:
    try:
        make_directory(directory, DIRECTORY_MODE)
        write_atomically(file(directory), membership.to_json(indent=2) + b"\n", SECRET_MODE)
    except OSError as error:
        raise _not_written(error, directory) from error


def prepare(directory: Path, token: str, server: bytes, certificate: bytes, key: bytes) -> str:
    """Keep certificates and key, PEM, for the membership that this token is for; the name of their
    directory. Durable when this returns. Raises StorageFailed."""
    name = _name(token)
    place = directory / name
    shutil.rmtree(place, ignore_errors=True)  # not whole, as `prepared` did not find it
    try:
        make_directory(directory, DIRECTORY_MODE)
        place.mkdir(DIRECTORY_MODE)
        write_new(place / KEY, key, SECRET_MODE)
        write_new(place / CERTIFICATE, certificate, SECRET_MODE)
        write_new(place / SERVER, server, SECRET_MODE)  # last: with it they are whole
        sync_directory(place)
        sync_directory(directory)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise _not_written(error, directory) from error
    return name


def prepared(directory: Path, token: str) -> str | None:
    """What an attempt with the same token has prepared that was cut short: the cluster may know its
    certificate already. A key of another token is never used again."""
    name = _name(token)
    whole = all((directory / name / each).is_file() for each in (KEY, CERTIFICATE, SERVER))
    return name if whole else None


def _name(token: str) -> str:
    import hashlib

    return f"credentials-{hashlib.sha256(token.encode()).hexdigest()[:16]}"


def discard_others(directory: Path, keep: str = "") -> None:
    """Remove certificates and keys that the membership does not name, but for those in `keep`.
    Never fails."""
    for name in list(_others(directory)):
        if name != keep:
            shutil.rmtree(directory / name, ignore_errors=True)


def discard_former(directory: Path) -> None:
    """The same for those that no join under way can be about. Never fails."""
    for name in list(_others(directory)):
        with suppress(OSError):
            if time.time() - (directory / name).stat().st_mtime > UNDER_WAY_SECONDS:
                shutil.rmtree(directory / name, ignore_errors=True)


def leave(directory: Path) -> None:
    """Forget the cluster. Raises StorageFailed."""
    try:
        file(directory).unlink(missing_ok=True)
        sync_directory(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _not_written(error, directory) from error
    discard_others(directory)


def of_pem(certificate: bytes) -> str:
    """The fingerprint of a certificate as Incus names it. Raises ValueError."""
    import hashlib

    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.decode("ascii"))).hexdigest()


def daemon_id(directory: Path) -> str:
    """This daemon's id, made at the first call. Raises MembershipDamaged, StorageFailed."""
    path = directory / DAEMON
    try:
        found = read_regular(path, MAX_FILE).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return _make_daemon_id(directory)
    except OSError as error:
        raise _damaged(f"{path} can't be read: {error.strerror or error}") from None
    if not _DAEMON.fullmatch(found):
        raise MembershipDamaged(
            f"{path} is damaged. It has the id of this daemon, which the instances on the Incus "
            "cluster are tagged with, as `incus config get INSTANCE user.multipass.daemon` shows: "
            "write that into the file."
        )
    return found


def _make_daemon_id(directory: Path) -> str:
    former = ""
    with suppress(OSError, Invalid):
        former = Membership.from_json(read_regular(file(directory), MAX_FILE)).daemon
    made = former or os.urandom(16).hex()
    try:
        make_directory(directory, DIRECTORY_MODE)
        write_atomically(directory / DAEMON, f"{made}\n".encode(), SECRET_MODE)
    except OSError as error:
        raise _not_written(error, directory) from error
    return made


def named(directory: Path) -> str:
    """The directory of certificates and key that the membership names; empty where it can't be
    read."""
    with suppress(OSError, Invalid):
        return Membership.from_json(read_regular(file(directory), MAX_FILE)).credentials
    return ""


def _others(directory: Path) -> Iterator[str]:
    used = named(directory)
    if not used and joined(directory):
        return  # which of them it names is not known
    with suppress(OSError):
        for name in sorted(os.listdir(directory)):
            if _CREDENTIALS.fullmatch(name) and name != used:
                yield name


def _not_written(error: OSError, directory: Path) -> StorageFailed:
    where = error.filename or directory
    return StorageFailed(
        f"The membership of the Incus cluster was not changed, as {where} can't be written: "
        f"{error.strerror or error}."
    )
