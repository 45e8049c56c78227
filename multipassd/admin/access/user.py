"""A user's client certificate, found or made in that user's home, as that user."""

from __future__ import annotations

import pwd
import shlex
from functools import partial
from pathlib import Path

from multipassd.admin.access.verb import TrustError
from multipassd.auth.installer import InstallerError, account_of, certificate_of
from multipassd.auth.run_as_user import HomeError, run_as
from multipassd.system import installation
from protocol import places
from protocol.client_certificate import CERTIFICATE, KEY

SNAP = {"SNAP_NAME": "multipass"}
PRESENT, POSSIBLE, IMPOSSIBLE = b"present", b"possible", b"impossible"


def directories(account: pwd.struct_passwd) -> dict[str, Path]:
    """Where clients of the two packages keep their certificate. Of the environment nothing counts:
    it is the administrator's."""
    return {
        "deb": Path(places.client_certificate_directory({}, account.pw_dir)),
        "snap": Path(places.client_certificate_directory(SNAP, account.pw_dir)),
    }


def certificates_of(name: str, dry_run: bool) -> list[bytes]:
    """The certificates, DER, of the user's clients; one is made if there is none.

    Raises TrustError.
    """
    try:
        account = account_of(name)
    except InstallerError as error:
        raise TrustError(str(error)) from error
    try:
        found = present(account)
        if not found:
            found = [_to_make(account)]
            if dry_run:
                print(f"Would do: Make a client certificate for {name} in {found[0]}.")
                return []
        return list(dict.fromkeys(certificate_of(account, each, not dry_run) for each in found))
    except (InstallerError, HomeError) as error:
        raise TrustError(f"{error}{_instead(account)}") from error


def _instead(account: pwd.struct_passwd) -> str:
    """snapd lets a snap become no other user, so there the administrator has to do the reading."""
    if not installation.here().confined:
        return ""
    certificate = shlex.quote(str(directories(account)["snap"] / CERTIFICATE))
    name = shlex.quote(account.pw_name)
    return (
        "\nA snap may not act for its users. Type this instead:\n"
        f"  sudo cat {certificate} | sudo {installation.here().trust} add --name {name} -"
    )


def present(account: pwd.struct_passwd) -> list[Path]:
    """The directories that hold a certificate and its key. Raises HomeError."""
    return [
        each
        for each in directories(account).values()
        if run_as(account, partial(_inspect, each)) == PRESENT
    ]


def _to_make(account: pwd.struct_passwd) -> Path:
    """Raises HomeError, TrustError."""
    where = directories(account)
    if not installation.here().confined:
        return where["deb"]
    if run_as(account, partial(_inspect, where["snap"])) == IMPOSSIBLE:
        # `current` is a link that snapd makes: a directory in its place would break the snap.
        raise TrustError(
            f"{account.pw_name} has never run multipass, so there is no place for a certificate "
            f"yet. Have {account.pw_name} run multipass once first (`multipass version` is "
            "enough), then repeat this."
        )
    return where["snap"]


def _inspect(directory: Path) -> bytes:
    """Runs as the user."""
    if all((directory / name).exists() for name in (CERTIFICATE, KEY)):
        return PRESENT
    return POSSIBLE if directory.parent.parent.is_dir() else IMPOSSIBLE
