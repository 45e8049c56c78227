"""Shared steps of the verbs that change the trust store: audit record, socket mode, repair."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

from multipassd.admin.access.locations import Place, actor
from multipassd.admin.access.verb import TrustError
from multipassd.audit.record import printable
from multipassd.audit.trail import Audit
from multipassd.auth import gate
from multipassd.auth.invitations import Invitations
from multipassd.settings.settings import Settings
from multipassd.system import installation, log
from multipassd.transport import listener
from multipassd.trust.disk import complaint
from multipassd.trust.reader import INVITATIONS_NAME
from multipassd.trust.state import FirstClient, TrustState
from multipassd.trust.store import CLIENTS_NAME, TrustStore

NO_LINK = os.O_NOFOLLOW
LOOSE = stat.S_IWGRP | stat.S_IWOTH
FILE_MODE, DIRECTORY_MODE = 0o600, 0o700  # as the daemon makes them
SHOWN = 16  # digits of a fingerprint: finding two that begin alike is not feasible

_log = log.get("trust")


def short(fingerprint: str) -> str:
    return fingerprint[:SHOWN]


def described(fingerprint: str, name: str) -> str:
    return f"{short(fingerprint)} ({printable(name)})" if name else short(fingerprint)


def say(text: str, dry_run: bool = False) -> None:
    print(f"Would do: {text}" if dry_run else text)


def open_store(place: Place, repair: bool, dry_run: bool) -> TrustStore:
    """The store for a change. Raises TrustError when it is DAMAGED."""
    if repair:
        repair_modes(place, dry_run)
    store = place.store(change=not dry_run)
    if place.state(store) is TrustState.DAMAGED and not (repair and dry_run):
        loose = "To keep what it holds, use --repair." if repairable(place) else ""
        raise TrustError(f"Nothing was changed. {store.damage}", loose, kind="damaged")
    return store


def apply_socket_mode(place: Place, store: TrustStore) -> None:
    """The daemon may be asleep: only an empty store narrows the socket to the admin group, unless
    its first client is none by itself."""
    if place.socket is None or place.state(store) is TrustState.DAMAGED:
        return
    try:
        status = place.socket.lstat()
    except OSError:
        return  # it will be made with the mode that is due
    open_to_all = gate.open_to_all(store.state, first_client(place))
    group = status.st_gid or listener.admin_group()
    listener.set_mode(str(place.socket), open_to_all, group)


def invitations(place: Place) -> Invitations:
    """Those that wait."""
    return Invitations(place.store_directory / INVITATIONS_NAME)


def first_client(place: Place) -> FirstClient:
    """What the first client becomes on an empty store."""
    return Settings(place.settings, place.owner).first_client()


def way_in(place: Place) -> str:
    """How the first client gets in on an empty store: the end of a sentence."""
    match first_client(place):
        case FirstClient.ADMIN:
            return "the next client from root or the admin group becomes the first one"
        case FirstClient.NOBODY:
            why = "local.first-client is 'nobody'"
        case FirstClient.UNKNOWN:
            why = f"the settings in {place.settings} can't be read"
    program = installation.here().trust
    return (
        f"no client becomes the first by itself, as {why}: "
        f"`sudo {program} add --user NAME` lets one in"
    )


# Repair


def repairable(place: Place) -> bool:
    """Is something wrong with owner or mode, which --repair fixes?"""
    for path in (place.store_directory, *place.store_files):
        try:
            status = path.lstat()
        except OSError:
            continue
        directory = stat.S_ISDIR(status.st_mode) and path == place.store_directory
        if directory and (status.st_mode & LOOSE or status.st_uid not in place.owners):
            return True
        if stat.S_ISREG(status.st_mode) and complaint(status, place.owners):
            return True
    return False


def repair_command() -> tuple[str, ...]:
    """What puts owner and modes right; for root."""
    return (installation.here().trust, "check", "--repair")


def unreadable(place: Place) -> list[os.PathLike[str]]:
    """What root has made where the service runs as another user, who may not read it."""
    found: list[os.PathLike[str]] = []
    for path in (place.store_directory, *place.store_files, invitations(place).path):
        with suppress(OSError):
            if path.lstat().st_uid == 0 != place.owner:
                found.append(path)
    return found


def repair_modes(place: Place, dry_run: bool) -> None:
    """Owner and modes of the directory and its files; raises TrustError.

    Each is opened in the directory before it: a user who owns the data directory could exchange
    a path for a link to files of root's, and be given those.
    """
    with ExitStack() as stack:
        data = _open(place.data, None, os.O_DIRECTORY, stack)
        if data is None:
            return
        directory = _open(place.store_directory, data, NO_LINK | os.O_DIRECTORY, stack)
        if directory is None:
            return
        owner = 0 if place.of_unit else os.fstat(data).st_uid
        owner = owner if os.geteuid() == 0 else os.geteuid()
        _repair(place.store_directory, directory, owner, DIRECTORY_MODE, dry_run)
        for name in (*(path.name for path in place.store_files), CLIENTS_NAME, INVITATIONS_NAME):
            path = place.store_directory / name
            file = _open(path, directory, NO_LINK | os.O_NONBLOCK, stack)
            if file is not None:
                _repair(path, file, owner, FILE_MODE, dry_run)


def _open(path: Path, directory: int | None, flags: int, stack: ExitStack) -> int | None:
    """None if it does not exist. Raises TrustError."""
    name = path if directory is None else path.name
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = "it is a symbolic link" if os.path.islink(path) else error.strerror
        raise TrustError(
            f"{path} can't be repaired: {why}. Look at it, or start over "
            f"with `{installation.here().trust} reset`."
        ) from error
    stack.callback(os.close, descriptor)
    return descriptor


def _repair(path: Path, descriptor: int, owner: int, mode: int, dry_run: bool) -> None:
    try:
        status = os.fstat(descriptor)
        if mode == FILE_MODE and not stat.S_ISREG(status.st_mode):
            raise TrustError(f"{path} can't be repaired: it is not a regular file.")
        # A user may not give files away; root's are good enough for the service.
        fits = {owner} if os.geteuid() == 0 else {0, owner}
        wrong_owner = status.st_uid not in fits
        if not wrong_owner and not status.st_mode & LOOSE:
            return
        if wrong_owner and mode == FILE_MODE and status.st_nlink != 1:
            raise TrustError(f"{path} can't be repaired: it is a hard link to another file.")
        say(f"Put owner and mode of {path} right.", dry_run)
        if dry_run:
            return
        if wrong_owner:
            os.fchown(descriptor, owner, -1)
        os.fchmod(descriptor, mode)
        text = f"owner and mode of {path} were put right by multipass-trust"
        Audit().administered("repair", text, actor())
    except OSError as error:
        raise TrustError(f"{path} can't be repaired: {error.strerror}.") from error
