"""Shared steps of the verbs that change the trust store: audit record, socket mode, repair."""

from __future__ import annotations

import os
import stat

from multipassd.admin.access.locations import Place
from multipassd.admin.access.verb import TrustError
from multipassd.auth.audit import printable
from multipassd.system import installation, log
from multipassd.transport import listener
from multipassd.trust.disk import complaint
from multipassd.trust.state import TrustState
from multipassd.trust.store import CLIENTS_NAME, TrustStore

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
        loose = " To keep what it holds, use --repair." if repairable(place) else ""
        raise TrustError(f"Nothing was changed. {store.damage}{loose}")
    return store


def apply_socket_mode(place: Place, store: TrustStore) -> None:
    """The daemon may be asleep: only an empty store narrows the socket to the admin group."""
    if place.socket is None or place.state(store) is TrustState.DAMAGED:
        return
    try:
        status = place.socket.lstat()
    except OSError:
        return  # it will be made with the mode that is due
    open_to_all = store.state is TrustState.TRUSTING
    group = status.st_gid or listener.admin_group()
    listener.set_mode(str(place.socket), open_to_all, group)


# Repair


def repairable(place: Place) -> bool:
    """Is something wrong with owner or mode, which --repair fixes?"""
    owners = frozenset({0, os.geteuid()})
    for path in (place.store_directory, place.store_path):
        try:
            status = path.lstat()
        except OSError:
            continue
        directory = stat.S_ISDIR(status.st_mode) and path == place.store_directory
        if directory and (status.st_mode & LOOSE or status.st_uid not in owners):
            return True
        if stat.S_ISREG(status.st_mode) and complaint(status, owners):
            return True
    return False


def repair_modes(place: Place, dry_run: bool) -> None:
    """Owner and modes of the directory and its files; raises TrustError."""
    _repair(place.store_directory, os.O_DIRECTORY, DIRECTORY_MODE, dry_run)
    for name in (place.store_path.name, CLIENTS_NAME):
        _repair(place.store_directory / name, os.O_NONBLOCK, FILE_MODE, dry_run)


def _repair(path: os.PathLike[str], flag: int, mode: int, dry_run: bool) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flag)
    except FileNotFoundError:
        return
    except OSError as error:
        why = "it is a symbolic link" if os.path.islink(path) else error.strerror
        raise TrustError(
            f"{os.fspath(path)} can't be repaired: {why}. Look at it, or start over "
            f"with `{installation.here().trust} reset`."
        ) from error
    try:
        status = os.fstat(descriptor)
        if mode == FILE_MODE and not stat.S_ISREG(status.st_mode):
            raise TrustError(f"{os.fspath(path)} can't be repaired: it is not a regular file.")
        wrong_owner = status.st_uid not in {0, os.geteuid()}
        if not wrong_owner and not status.st_mode & LOOSE:
            return
        say(f"Put owner and mode of {os.fspath(path)} right.", dry_run)
        if dry_run:
            return
        if wrong_owner:
            os.fchown(descriptor, os.geteuid(), -1)
        os.fchmod(descriptor, mode)
        _log.info("owner and mode of %s were put right by multipass-trust", os.fspath(path))
    except OSError as error:
        raise TrustError(f"{os.fspath(path)} can't be repaired: {error.strerror}.") from error
    finally:
        os.close(descriptor)
